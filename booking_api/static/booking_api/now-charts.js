"use strict";
/* Draws the charts of the console's front page from the tables that stand below them, by uPlot. Each
   is drawn anew when its numbers, its width or the colours have changed. */

const NowCharts = (() => {
  const HEIGHT = 160;
  const COLOURS = ["--n-1", "--n-2", "--n-3", "--n-4"];
  // So that lines are told apart by more than their colours.
  const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3]];
  const drawn = new WeakMap();

  /** Return the numbers of a span as uPlot takes them: times, then a list for each line. */
  function readTable(details, gap) {
    const first = Number(details.dataset.first);
    const step = Number(details.dataset.step);
    const times = Array.from({ length: Number(details.dataset.number) }, (_, at) => first + at * step);
    const places = new Map(times.map((time, at) => [time, at]));
    const lines = Array.from(details.querySelectorAll("thead th")).slice(1).map(() => times.map(() => gap));
    for (const row of details.querySelectorAll("tr[data-at]")) {
      const place = places.get(Number(row.dataset.at));
      row.querySelectorAll("td").forEach((cell, at) => {
        const number = Number.parseFloat(cell.textContent);
        if (place !== undefined) lines[at][place] = Number.isNaN(number) ? null : number;
      });
    }
    return [times, ...lines];
  }

  function readColours(figure) {
    const style = getComputedStyle(figure);
    return {
      lines: COLOURS.map((name) => style.getPropertyValue(name).trim()),
      ink: style.getPropertyValue("--body-quiet-color").trim(),
      grid: style.getPropertyValue("--c-line").trim(),
    };
  }

  function buildOptions(figure, width, data, zone) {
    const { lines, ink, grid } = readColours(figure);
    const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
    const unit = figure.dataset.unit;
    const largest = Math.max(1, ...data.slice(1).flat().map((number) => number ?? 0));
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "12px sans-serif" };
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: true }, y: { range: unit === "%" ? [0, 100] : [0, largest * 1.05] } },
      axes: [
        { ...axis, values: (_, times) => times.map((time) => clock.format(new Date(time * 1000))), space: 60 },
        { ...axis, size: 56, values: (_, numbers) => numbers.map((number) => (Number.isInteger(number) ? `${number}${unit}` : "")) },
      ],
      series: [
        {},
        ...data.slice(1).map((_, at) => ({
          stroke: lines[at], dash: DASHES[at], width: 2, spanGaps: false,
          points: { show: unit === "%" },
        })),
      ],
    };
  }

  function drawChart(figure, span, zone) {
    const place = figure.querySelector(".n-drawing");
    const details = figure.querySelector(`details[data-span="${span}"]`);
    place.hidden = false; // what is hidden has no width
    const width = Math.floor(place.clientWidth);
    if (!details || width < 50) return;
    const gap = figure.dataset.gap === "nought" ? 0 : null;
    // Nothing at all has a table without a head: there is nothing to draw.
    const lines = details.querySelectorAll("thead th").length > 0;
    const data = lines ? readTable(details, gap) : null;
    place.hidden = data === null;
    const colours = readColours(figure);
    const state = JSON.stringify([span, width, data, colours]);
    const before = drawn.get(figure);
    if (before?.state === state) return;
    before?.chart?.destroy();
    place.textContent = "";
    const chart = data === null ? null : new uPlot(buildOptions(figure, width, data, zone), data, place);
    drawn.set(figure, { state, chart });
  }

  /** Draw all charts inside of an element, over "hour" or "day". */
  function draw(root, span, zone) {
    if (typeof uPlot === "undefined") return;
    for (const figure of root.querySelectorAll("figure.n-chart")) {
      try {
        drawChart(figure, span, zone);
      } catch (error) {
        // The numbers stand in the table: a chart that fails takes nothing away.
        console.warn("chart not drawn", figure.id, error);
      }
    }
  }

  return { draw };
})();

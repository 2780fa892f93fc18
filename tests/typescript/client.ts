// A client that uses the types openapi-typescript makes of the schema; it is only type-checked.
import type { components, operations, paths } from "./schema";

type Schemas = components["schemas"];
type List = operations["listBookings"];
type Cancel = operations["cancelBooking"];
type Listed = List["responses"][200]["content"]["application/json"];
type NotListed = List["responses"][401]["content"]["application/json"];
type NotCreated = operations["createBooking"]["responses"][409]["content"]["application/json"];

const pair = { student_id: "S1001", email: "alice@example.org" };

export const listQuery: List["parameters"]["query"] = { ...pair, filter: "upcoming" };

export const booking: Schemas["CreateRequest"] = {
  ...pair,
  contact_id: "301",
  mock_exam_id: 7001,
  name: "Alice Moreau",
  exam_date: "2027-03-14",
  mock_type: "clinical",
};

export const change: NonNullable<
  paths["/api/bookings/{booking_id}"]["patch"]["requestBody"]
>["content"]["application/json"] = { ...pair, attending_location: "Room 7" };

// Cancelling: in the body, in the query, or half and half.
export const cancelQuery: Cancel["parameters"]["query"] = pair;
export const cancelBody: NonNullable<Cancel["requestBody"]> = {
  content: { "application/json": { ...pair, reason: "ill" } },
};
export const withoutReason: Schemas["CancelRequest"] = pair;
export const noBody: Cancel["requestBody"] = undefined;

export const invalidate: Schemas["InvalidateRequest"] = { contact_id: "301" };

export function show(answer: Listed): string {
  return answer.data.bookings
    .map((row) => `${row.booking_id}: ${row.mock_exam?.location ?? "no exam"}`)
    .join("\n");
}

export function explain(error: NotListed): string {
  const only: "AUTH_FAILED" = error.code;
  return `${only}: ${error.error} (${error.request_id})`;
}

// @ts-expect-error - who could not prove who they are is told no other code
export const unheardOf: NotListed["code"] = "EXAM_FULL";
// @ts-expect-error - a booking needs its exam
export const incomplete: Schemas["CreateRequest"] = { ...pair, name: "Alice Moreau" };
// @ts-expect-error - exactly one thing is named
export const unnamed: Schemas["InvalidateRequest"] = { reason: "a wrong e-mail" };

export function isWorthRetrying(error: NotCreated): boolean {
  switch (error.code) {
    case "REQUEST_IN_PROGRESS":
      return true;
    case "ALREADY_CANCELED":
      return false;
    default: {
      const none: never = error.code;
      return none;
    }
  }
}

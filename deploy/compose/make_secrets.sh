#!/bin/sh
# Makes the files that compose.yaml hands to its containers, each readable by its container's user
# alone. Run as root beside compose.yaml: sh deploy/compose/make_secrets.sh
# What is there already stays. Secrets that others give (HubSpot's, PagerDuty's, Slack's) are asked for,
# and read from the lines of the standard input, so that no history of a shell has them.
set -eu
umask 077
folder=${1:-deploy/compose/secrets}
mkdir -p "$folder"
chmod 711 "$folder"

API=10001 POSTGRES=999 GRAFANA=472 ALERTMANAGER=65534

random() { head -c 48 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

keep() { # file, user: what comes by the standard input; whole, or not at all
  cat > "$folder/.part"
  chown "$2" "$folder/.part"
  chmod 400 "$folder/.part"
  mv "$folder/.part" "$folder/$1"
}

make() { # file, user
  [ -e "$folder/$1" ] || random | keep "$1" "$2"
}

ask() { # file, user, what it is, "needed" where it may not be empty
  [ -e "$folder/$1" ] && return
  printf '%s: ' "$3" >&2
  answer=$(read_hidden)
  if [ -z "$answer" ] && [ "${4:-}" = needed ]; then
    echo "It is needed. Run this again when you have it; what was made stays." >&2
    exit 1
  fi
  printf '%s' "$answer" | keep "$1" "$2"
}

read_hidden() { # a line of the standard input, unseen where that is a terminal
  if [ -t 0 ]; then
    before=$(stty -g)
    trap 'stty "$before"; exit 1' INT TERM
    stty -echo
  fi
  IFS= read -r line || line=${line:-}
  if [ -t 0 ]; then
    stty "$before"
    echo >&2
  fi
  printf '%s' "$line"
}

make secret-key "$API"
[ -e "$folder/secret-key-fallbacks" ] || keep secret-key-fallbacks "$API" < /dev/null
make cron-secret "$API"
make grafana-password "$GRAFANA"
make database-password "$POSTGRES"
if [ ! -e "$folder/database-url" ]; then
  printf 'postgres://booking:%s@postgres/booking' "$(cat "$folder/database-password")" |
    keep database-url "$API"
fi
ask hubspot-token "$API" "HubSpot's service key or private app's token" needed
ask hubspot-webhook-secret "$API" "Client secret of the app that sends webhooks (empty: none)"
ask pagerduty-key "$ALERTMANAGER" "PagerDuty's integration key (empty: none)"
ask chat-address "$ALERTMANAGER" "Slack's webhook address (empty: none)"

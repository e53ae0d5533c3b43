#!/bin/sh
# See --help. The program is built from run.ts.
program=$(dirname "$0")/../../dist/test/vm/run.js
[ -e "$program" ] || { echo "vm: $program is missing: run npm run build first" >&2; exit 125; }
exec node "$program" "$@"

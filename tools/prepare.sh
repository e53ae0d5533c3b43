#!/bin/sh
# Brings a fresh checkout to where its programs run: the npm packages of the lock file, and a build.
# Does nothing, at once, where both are there and newer than what they are made of.
set -eu
cd "$(dirname "$0")/.."

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "prepare: installing npm packages" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
npm run --silent build

#!/usr/bin/env bash
set -eu
exec perl src/train.pl

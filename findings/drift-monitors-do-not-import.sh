#!/bin/sh
# nannyml 0.13.1 and evidently 0.7.23: newly installed beside pandas 3.1.1, neither can be imported.
#
# Expected: a tool that does not run with a version refuses it when it is installed, or runs.
# Seen: both install without a word. nannyml imports statsmodels, which nothing that it asks for brings; evidently imports a
# function of pandas' inner modules that is gone.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for tool in nannyml==0.13.1 evidently==0.7.23; do
    name=${tool%%==*}
    python3 -m venv "$folder/$name"
    "$folder/$name/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
    "$folder/$name/bin/uv" pip install --quiet --python "$folder/$name/bin/python" "$tool" pandas==3.1.1
    said=$(NML_DISABLE_USAGE_LOGGING=1 DO_NOT_TRACK=1 "$folder/$name/bin/python" -W ignore -c "import $name" 2>&1 | tail -n 1)
    echo "$tool beside pandas 3.1.1: $said"
    case $said in *Error*) ;; *) exit 1 ;; esac
done

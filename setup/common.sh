# SPDX-License-Identifier: MIT
# Read by setup/install and setup/uninstall, which have set $venv and $command as they were given.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"

case $venv in /*) ;; *) venv=$here/$venv ;; esac
# A "~" that the shell has left as it is.
case $command in "~/"*) command=$HOME/${command#"~/"} ;; esac
stamp=$venv/.lazyobs-setup
wrapper="#!/bin/sh
exec \"$venv/bin/lazyobs\" \"\$@\""

say() { echo "setup: $*"; }

die() {
	echo "setup: $*" >&2
	exit 1
}

# Can the caller make or change the file $1? Its directory may not be there yet.
may_write() {
	[ ! -e "$1" ] || [ -w "$1" ] || return 1
	folder=$(dirname "$1")
	while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
	[ -w "$folder" ]
}

# How to do something to $1 as somebody who may: "" or "sudo".
sudo_for() {
	may_write "$1" || echo sudo
}

# What $command runs if setup/install of any checkout has written it, else "".
runs_now() {
	[ ! -L "$command" ] || return 0
	sed -n '1{/^#!\/bin\/sh$/!q}; 2{s/^exec "\(.*\)\/bin\/lazyobs" "\$@"$/\1/p}' "$command" 2>/dev/null || true
}

# SPDX-License-Identifier: MIT
# Prints the targets of Makefiles with their comments ("target: deps ## text"), then the lines that begin with "## ",
# each group below its heading ("##@ heading").

BEGIN {
	print "lazyobs: what anonymous reverse mapping costs on a live Linux kernel\n"
}

/^[a-z-]+:.* ## / {
	target = $0
	sub(/:.*/, "", target)
	sub(/.* ## /, "")
	printf "  make %-11s %s\n", target, $0
}

/^##@ / {
	settings = settings "\n" substr($0, 5) ":\n"
}

/^## / {
	settings = settings "  " substr($0, 4) "\n"
}

END {
	printf "%s", settings
}

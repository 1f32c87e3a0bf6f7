// Package script holds what regctl runs on a client: constant POSIX sh that takes
// its values as data. Nothing here, nor in what loads it, is made at run time.
package script

import (
	_ "embed"
	"strings"
)

// Loader is the command that a login shell is given. sh, bash, dash, ksh, zsh,
// fish, csh and tcsh read it alike: one pair of single quotes, and within no quote,
// exclamation mark, backslash or newline. It reads a number and that many bytes of
// script, and never a byte more, so that what follows is the script's to read. (A
// shell that reads a script from its standard input reads ahead.)
const Loader = `exec sh -c '` + loader + `'`

const loader = `LC_ALL=C; export LC_ALL; ` + load

// load reads a number and that many bytes, of which the last is no newline, and runs
// them. A dd that knows no fullblock reads nothing at first and then what there is.
const load = `IFS= read -r n; s=$(exec dd iflag=fullblock bs="$n" count=1 2>/dev/null); ` +
	`while [ "${#s}" -lt "$n" ]; do c=$(dd bs="$((n - ${#s}))" count=1 2>/dev/null; echo x); c=${c%x}; ` +
	`[ -n "$c" ] || exit 1; s=$s$c; done; eval "$s"`

var (
	//go:embed become.sh
	become string
	//go:embed lib.sh
	lib string
	//go:embed look.sh
	look string
	//go:embed do.sh
	do string
	//go:embed files.sh
	files string
	//go:embed undo.sh
	undo string
	//go:embed edit.sh
	edit string
	//go:embed credential.sh
	credential string
	//go:embed safe.sh
	safe string
	//go:embed lock.sh
	lock string
	//go:embed ledger.sh
	ledger string
	//go:embed about.sh
	about string
	//go:embed remove.sh
	remove string
	//go:embed link.sh
	link string
	//go:embed runtime.sh
	runtime string
	//go:embed action.sh
	action string
	//go:embed verify.sh
	verify string
	//go:embed main.sh
	main string
	//go:embed image.sh
	image string
)

// Main is the script that looks at files and makes some of our own. To read it is a
// good part of what a client does, so what else there is comes when it is needed.
func Main() string {
	return "more() { " + load + "; s=; }\n" + strip(lib+look+do+files+undo+safe+lock+ledger+about+main)
}

// More is what Main reads after "more", in the same way as the loader reads Main: how to remove things, to
// change files of others and logins, and what there is to know and do about what runs.
func More() string { return strip(remove + link + edit + credential + runtime + action + verify) }

// Image is the script that has a Docker Engine hold an image or let it go. It stands
// alone: what is sent to it after its first lines is not for a shell.
func Image() string { return strip(image) }

// Become is the script that becomes root and loads what follows it.
func Become() string { return "LOADER='" + loader + "'\n" + strip(become) }

// strip takes away what the shell does not need.
func strip(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimLeft(line, "\t")
		if line != "\n" && !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

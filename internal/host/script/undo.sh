# The original of a file that is somebody else's lies in $U/<hash of its path>:
# path, name (its path as an op names it), original (its bytes), meta (exists mode uid
# gid hash), parts (who of ours is in it), left (hashes of the file as we left it),
# other (somebody else changed it).

# undodir sets U, and K, the folder that is locked: one's own home.
undodir() {
	K=$HOME
	if [ -n "$U" ]; then
		K=${U%/*}
		while [ ! -d "$K" ]; do K=${K%/*}; done
	elif [ "${me%:*}" = 0 ]; then U=/var/lib/regctl/undo
	else U=${XDG_STATE_HOME:-$HOME/.local/state}/regctl/undo
	fi
}

# record sets R to p's record, "" if there is none.
record() {
	for R in "$U"/*/; do
		R=${R%/}
		{ IFS= read -r t <"$R/path"; } 2>/dev/null && [ "$t" = "$p" ] && return 0
	done
	R=
}

# tellrecord adds the record to an answer about a file.
tellrecord() {
	record
	[ -n "$R" ] || return 0
	read -r t <"$R/meta"
	if [ -e "$R/other" ]; then j=1; else j=0; fi
	say record "$j" "$t"
	while IFS= read -r t; do line "part $t"; done <"$R/parts"
	while IFS= read -r t; do line "left $t"; done <"$R/left"
}

# makeundo makes the folders down to U and notes those it made.
makeundo() {
	[ ! -d "$U" ] || return 0
	j=$U made=
	while [ ! -d "$j" ]; do
		made=$j$nl$made
		j=${j%/*}
	done
	runs mkdir -p "$U" || return 1
	{ printf %s "$made" >"$U/.made"; } 2>/dev/null || err=$(printf %s "$made" | { cat >"$U/.made"; } 2>&1) || return 1
	new=$new$nl$U/$nl
	touched "${made%%"$nl"*}"
}

# clearundo takes U away when nothing is left in it but, perhaps, its file $1.
clearundo() {
	[ -d "$U" ] || return 0
	for j in "$U"/.new-*; do
		[ ! -e "$j" ] || [ -e "/proc/${j##*-}" ] || rm -rf "$j"
	done
	if [ -e "$U/$1" ]; then set -- "$U/$1"; else set --; fi
	for j in "$U"/*; do
		[ ! -e "$j" ] || [ "$j" = "$1" ] || break
	done
	if [ -e "$j" ] && [ "$j" != "$1" ]; then
		[ $# = 0 ] || rm -f "$1"
		return 0
	fi
	made=$U$nl${U%/*}
	if [ -s "$U/.made" ]; then
		made=
		while IFS= read -r j; do made=$j$nl$made; done <"$U/.made"
	fi
	rm -f "$@" "$U/.made" "$U/.ledger"
	old=$IFS IFS=$nl
	set -f
	# shellcheck disable=SC2086 # lines, the inner ones first
	rmdir $made 2>/dev/null
	set +f
	IFS=$old
}

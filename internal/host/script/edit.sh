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

recordname() {
	R=$(printf %s "$p" | $sum)
	R=${R%% *}
	R=$U/${R%????????????????????????????????}
}

inrecord() {
	record
	[ -n "$R" ] && has "$part" "$R/parts"
}

# untouched tells whether only we changed p since the record was made.
untouched() {
	[ ! -e "$R/other" ] || return 1
	read -r _ _ _ _ o <"$R/meta"
	[ "${h:--}" = "$o" ] || has "${h:--}" "$R/left"
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

# remember has the original and our part in it on disk before the file is changed.
remember() {
	makeundo || return 1
	fresh= joined=
	record
	if [ -n "$R" ]; then
		untouched || printf '' >"$R/other"
		has "$part" "$R/parts" || joined=1
		err=$({
			[ -z "$joined" ] || printf '%s\n' "$part" >>"$R/parts"
			printf '%s\n' "$want" >>"$R/left"
		} 2>&1) || return 1
	else
		recordname
		fresh=1 N=$U/.new-$$
		rm -rf "$N"
		runs mkdir "$N" || return 1
		[ "$e" = 0 ] || runs cp -a "$p" "$N/original" || { rm -rf "$N"; return 1; }
		if ! err=$({
			printf '%s\n' "$p" >"$N/path" && printf '%s\n' "$path" >"$N/name" && printf '%s\n' "$part" >"$N/parts" &&
				printf '%s\n' "$want" >"$N/left" &&
				printf '%s %s %s %s %s\n' "$e" "$mode" "$uid" "$gid" "${h:--}" >"$N/meta"
		} 2>&1) || ! same || ! runs mv "$N" "$R"; then
			rm -rf "$N"
			return 1
		fi
	fi
	sync "$R"/* "$R" "$U" 2>/dev/null || sync
}

# same tells whether the copy of the original is whole.
same() {
	[ "$e" = 1 ] || return 0
	cmp -s "$p" "$N/original" && return 0
	[ "$($sum <"$p")" = "$($sum <"$N/original")" ] && return 0
	err='No space left on device'
	return 1
}

# forget takes our part out of the record, and the record away after the last.
forget() {
	while IFS= read -r line; do
		[ "$line" = "$part" ] || printf '%s\n' "$line"
	done <"$R/parts" >"$R/parts.new"
	if [ -s "$R/parts.new" ]; then
		mv -f "$R/parts.new" "$R/parts"
		sync "$R/parts" 2>/dev/null || sync
	else
		# Whole or not at all.
		N=$U/.new-$$
		mv "$R" "$N" && rm -rf "$N"
		clearundo
	fi
}

# replace writes the op's bytes over p; owner, mode, label and ACLs stay.
replace() {
	newtemp || return 1
	if [ "$e" = 1 ]; then
		runs cp -a "$p" "$temp" || return 1
		fill "$temp" || return 1
	else
		fill "$temp" && dress "$temp" || return 1
	fi
	check && runs sync "$temp" && put || return 1
	[ "$e" = 1 ] || [ ! -e /sys/fs/selinux/enforce ] || ! command -v restorecon >/dev/null || restorecon "$p" 2>/dev/null
	fact edit "$p"
	identify edit
}

# enter puts our part into a file.
enter() {
	verb='save the original of'
	if ! remember; then
		clearundo
		return 1
	fi
	verb=write
	replace && return 0
	cleartemp
	cause=$err
	[ -z "$fresh$joined" ] || forget
	err=$cause
	return 1
}

# leave takes our part out: the last to go brings the original back, unless
# somebody else has changed the file since. Then what was sent is written.
leave() {
	last=1
	while IFS= read -r line; do
		[ "$line" = "$part" ] || last=
	done <"$R/parts"
	if untouched; then mine=1; else mine=; fi
	if [ -n "$last" ] && [ -n "$mine" ]; then
		restore || return 1
	elif [ "$wantexists" = 0 ]; then
		[ "$e" = 0 ] || runs rm -f "$p" || return 1
		h=
		touched "$p"
	else
		[ "$h" = "$want" ] || replace || return 1
	fi
	if [ -z "$last" ]; then
		[ -n "$mine" ] || printf '' >"$R/other"
		printf '%s\n' "${h:--}" >>"$R/left"
	elif [ -z "$mine" ]; then
		note='somebody else changed it since, so only our part was taken out'
	fi
	forget
}

restore() {
	read -r o _ _ _ was0 <"$R/meta"
	if [ "$o" = 0 ]; then
		[ "$e" = 0 ] || runs rm -f "$p" || return 1
	elif [ "${h:--}" != "$was0" ]; then
		newtemp && runs cp -a "$R/original" "$temp" && runs sync "$temp" && put || return 1
	fi
	touched "$p"
	fact edit "$p"
	identify edit
}

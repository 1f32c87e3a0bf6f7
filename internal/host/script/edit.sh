# How a file of somebody else is changed; what its record holds is told in undo.sh.

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

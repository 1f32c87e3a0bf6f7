# cleardead takes away what killed runs left in the folder $1, if there was anything.
cleardead() {
	dead=
	for j in "$1"/.regctl-*.tmp; do
		[ -e "$j" ] || [ -L "$j" ] || continue
		t=${j##*/.regctl-}
		[ -e "/proc/${t%%-*}" ] || { rm -rf "$j" && dead=1; }
	done
	[ -n "$dead" ]
}

# newtemp picks the name under which p's successor is written, beside it; what a
# killed run left there goes.
newtemp() {
	if [ ! -d "${p%/*}/" ]; then err='No such file or directory'; return 1; fi
	cleardead "${p%/*}"
	temp=${p%/*}/.regctl-$$-$i.tmp
	rm -rf "$temp"
}

cleartemp() {
	[ -z "$temp" ] || rm -rf "$temp"
	temp=
}

# fill writes the op's bytes.
fill() { err=$({ umask "$mask"; printf %s "$d" | decode >"$1"; } 2>&1); }

# dress gives $1, which is $2's, the mode and owner that the op wants.
dress() {
	if [ "$wantuid:$wantgid" != "${2:-$me}" ] || [ -g "${p%/*}/" ]; then
		runs chown "$wantuid:$wantgid" "$1" || return 1
	fi
	runs chmod "$wantmode" "$1"
}

# check compares what is on disk with what was sent: on a full disk a program may
# end without a word.
check() {
	h=$($sum <"$temp")
	if [ "${h%% *}" != "$wantdata" ]; then
		err='No space left on device'
		return 1
	fi
	runs sync "$temp" && h=$want
}

# put renames temp into place. A mount point cannot be renamed over.
put() {
	if ! runs mv -f "$temp" "$p"; then
		case $err in *busy*) ;; *) return 1 ;; esac
		err=$({ cat "$temp" >"$p"; } 2>&1) || return 1
		if [ "$kind" = file ]; then dress "$p" "$uid:$gid" || return 1; fi
		sync "$p" 2>/dev/null || sync
		note='written in place, since it is a mount point'
		cleartemp
		return 0
	fi
	temp=
	touched "$p"
}

makedir() {
	if [ "$e" = 1 ]; then
		verb=change
		dress "$p" "$uid:$gid" && h=$want
		return
	fi
	verb=make
	newtemp && runs mkdir "$temp" && dress "$temp" && runs mv "$temp" "$p" || return 1
	temp= h=$want
	touched "$p"
}

makelink() {
	t=$(printf %s "$d" | decode; echo x)
	t=${t%x}
	newtemp && runs ln -s "$t" "$temp" || return 1
	# Without -T a link to a directory would be moved into.
	if [ -L "$p" ] && [ -d "$p" ]; then
		runs mv -T -f "$temp" "$p" || return 1
	else
		runs mv -f "$temp" "$p" || return 1
	fi
	temp= h=$want
	touched "$p"
}

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
	if [ -e "$temp" ] || [ -L "$temp" ]; then rm -rf "$temp"; fi
}

cleartemp() {
	[ -z "$temp" ] || rm -rf "$temp"
	temp=
}

# fill writes the op's bytes.
fill() {
	umask "$mask"
	t=0
	if [ -n "$text" ]; then
		# The shell does not say why it could not; cat does.
		{ printf %s "$d" >"$1"; } 2>/dev/null || err=$(printf %s "$d" | { cat >"$1"; } 2>&1) || t=1
	else
		err=$(printf %s "$d" | { $decode >"$1"; } 2>&1) || t=1
	fi
	umask 077
	return $t
}

# dress gives $1, which is $2's, the mode and owner that the op wants.
dress() {
	owner "$2" || runs chown "$wantuid:$wantgid" "$1" || return 1
	runs chmod "$wantmode" "$1"
}

# owner tells whether what $1 made in p's folder is whose the op wants.
owner() { [ "$wantuid:$wantgid" = "${1:-$me}" ] && [ ! -g "${p%/*}/" ]; }

# check compares what is on disk with what was sent, unless the shell itself wrote it:
# on a full disk a program may end without a word.
check() {
	if [ -z "$text" ]; then h=$($sum <"$temp"); else h=$wantdata; fi
	if [ "${h%% *}" != "$wantdata" ]; then
		err='No space left on device'
		return 1
	fi
	h=$want
}

writefile() {
	if [ "$e" = 0 ] && [ -n "$text" ] && [ ${#d} -le 4000 ] && owner ''; then
		case $wantmode in *[1357]*) ;; *) small && return ;; esac
	fi
	newtemp && fill "$temp" && dress "$temp" && check || return 1
	# One that takes another's place is on disk before it does.
	if [ "$e" = 1 ]; then runs sync "$temp" || return 1; else later "$p"; fi
	put
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

# small writes a small new file where it belongs, in one go: a reader finds nothing or
# all of it. Where a folder has a default ACL, that decides on the mode.
small() {
	umask "$mask"
	set -C
	if { printf %s "$d" >"$p"; } 2>/dev/null; then t=0; else t=1; fi
	set +C
	umask 077
	if [ $t = 1 ]; then
		[ ! -f "$p" ] || [ -s "$p" ] || rm -f "$p"
		return 1
	fi
	h=$want
	later "$p"
	touched "$p"
}

makedir() {
	if [ "$e" = 1 ]; then
		verb=change
		dress "$p" "$uid:$gid" && h=$want
		return
	fi
	verb=make
	if owner ''; then
		runs mkdir -m "$wantmode" "$p" || return 1
	else
		newtemp && runs mkdir "$temp" && dress "$temp" && runs mv "$temp" "$p" || return 1
	fi
	temp= h=$want new=$new$nl$p/$nl
	touched "$p"
}

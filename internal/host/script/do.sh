# among tells whether one of the ops numbered in $1 changed something.
among() {
	for j in $1; do
		case $changed in *" $j "*) return 0 ;; esac
	done
	return 1
}

fail() {
	failed=1
	say fail "$@"
}

# op reads one op and carries it out, unless one before it failed.
op() {
	read -r i kind action wantmode wantuid wantgid wantexists wantdata want before known mask || exit 1
	IFS= read -r onlyif && IFS= read -r same || exit 1
	value; path=$v
	value; part=$v
	value; follows=$v
	bytes
	if put_off; then return 0; fi
	settle
	[ -z "$failed" ] || return 0
	if [ -n "$stop" ]; then fail stopped; return 0; fi
	if [ -n "$onlyif" ] && ! among "$onlyif"; then
		[ "$kind" != action ] || notdue
		say done 0 ""
		return 0
	fi
	if ! lock; then fail busy; return 0; fi
	if [ "$kind" = action ]; then act; return 0; fi

	told=
	fact "$kind" "$path"
	identify "$kind"
	[ "${h:--}" = "$known" ] || tell "$kind" before
	by=$action
	case $kind:$part in
	file:?* | dir:?* | credential:?*)
		by=noted-$action
		entries
		;;
	esac
	if wanted; then say done 0 "$h"; return 0; fi
	if unsafe; then fail unsafe "$err"; return 0; fi
	if [ -n "$foreign" ] && [ "$by" != noted-remove ]; then fail foreign "$foreign"; return 0; fi
	if [ "$before" != '*' ] && [ "$before" != "${h:--}" ] && ! among "$same"; then fail changed; return 0; fi
	was=$h note= err= verb=write
	if due && carryout; then
		if [ "$h" = "$was" ]; then
			undue
			say done 0 "$h" "$note"
		else
			changed="$changed$i "
			say done 1 "${h:--}" "$note"
		fi
		return 0
	fi
	cleartemp
	err=$(printf %s "$err" | tr '\n' ' ')
	fact "$kind" "$path"
	identify "$kind"
	[ "$h" != "$was" ] || undue
	case $by in noted-*) [ "$e" = 1 ] || strike ;; esac
	fail error "$verb" "${h:--}" "$err"
}

# bytes reads what the op wants written into d: in base64, or where the count of lines
# begins with "=" as it is, with "-" without the last newline.
bytes() {
	read -r n || exit 1
	text=${n%%[0-9]*}
	block "${n#[=-]}"
	[ "$text" != - ] || d=${d%"$nl"}
}

# plainly prints what the op wants written.
plainly() {
	case $text in
	'') printf %s "$d" | $decode ;;
	*) printf %s "$d" ;;
	esac
}

# put_off has a folder that is noted made with those that follow, in one go, and
# answered then. They wait in late, a line each: number, part, hash and path.
put_off() {
	case $kind:$action:$part:$follows in dir:create:?*:) ;; *) return 1 ;; esac
	p=$path
	[ -z "$failed$stop$onlyif" ] && [ "$known" = - ] && [ ! -e "$p" ] && [ ! -L "$p" ] && owner '' && ! unsafe &&
		[ "$wantmode" = "${latemode:-$wantmode}" ] && lock && note || return 1
	late=$late$i\ $part\ $want\ $p$nl latemode=$wantmode
}

# settle makes the folders that were put off.
settle() {
	[ -n "$late" ] || return 0
	tosettle=$late late=
	old=$IFS IFS=$nl
	set -f
	for j in $tosettle; do
		j=${j#* } j=${j#* }
		set -- "$@" "${j#* }"
	done
	mkdir -m "$latemode" "$@" 2>/dev/null
	set --
	for j in $tosettle; do set -- "$@" "$j"; done
	set +f
	IFS=$old
	for j in "$@"; do settled "$j"; done
	latemode=
}

# settled answers for one of them.
settled() {
	t=${1#* }
	t=${t#* }
	if [ -z "$failed" ] && { [ -d "${t#* }" ] || runs mkdir -m "$latemode" "${t#* }"; }; then
		changed="$changed${1%% *} " new=$new$nl${t#* }/$nl
		touched "${t#* }"
		say done 1 "${t%% *}"
		return
	fi
	[ -n "$failed" ] || fail error make - "$(printf %s "$err" | tr '\n' ' ')"
	unnote "dir ${1#* }"
}

# wanted tells whether there is nothing left to do.
wanted() {
	case $kind:$by in
	edit:remove) ! inrecord ;;
	file:noted-remove | credential:noted-remove) [ -z "$ours" ] ;;
	dir:noted-remove) [ -z "$ours$theirs" ] ;;
	dir:noted-*) [ -d "$p" ] ;;
	*:remove) [ "$e" = 0 ] ;;
	*) [ "${h:--}" = "$want" ] ;;
	esac
}

# carryout leaves h as the hash of the thing afterwards, or says in err why not.
carryout() {
	case $by in
	noted-remove)
		notedremove
		return
		;;
	noted-*) note || return 1 ;;
	esac
	case $kind:$action in
	credential:*) keep ;;
	edit:remove) leave ;;
	edit:*) enter ;;
	dir:remove)
		rmdir "$p" 2>/dev/null && h= && touched "$p"
		return 0
		;;
	*:remove)
		verb=remove
		runs rm -f "$p" && h= && touched "$p"
		;;
	file:*) writefile ;;
	dir:*) makedir ;;
	link:*) verb=link; makelink ;;
	esac
}

# touched notes that the directory of $1 is to be put on disk at the end, unless it
# was made a moment ago: then its own directory's turn brings it along.
touched() { later "${1%/*}/"; }

# later has a file or a directory put on disk at the end.
later() {
	case $1 in *"$nl"*)
		sync "$1" 2>/dev/null || sync
		return
		;;
	esac
	case $synced in *"$nl$1$nl"*) ;; *) synced=$synced$nl$1$nl ;; esac
}

flush() {
	[ -n "$synced" ] || return 0
	old=$IFS IFS=$nl
	set -f
	for j in $synced; do
		case $new in *"$nl$j$nl"*) continue ;; esac
		[ ! -e "$j" ] || set -- "$@" "$j"
	done
	set +f
	IFS=$old synced= new=
	[ $# = 0 ] || sync "$@" 2>/dev/null || sync
}

# finish ends a batch, and is what is left to do when the script ends for whatever
# reason.
finish() {
	cleartemp
	saveledger
	flush
	unlock
}

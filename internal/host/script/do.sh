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
	read -r n || exit 1
	block "$n"
	[ -z "$failed" ] || return 0
	if [ -n "$stop" ]; then fail stopped; return 0; fi
	if [ -n "$onlyif" ] && ! among "$onlyif"; then say done 0 ""; return 0; fi
	if [ "$kind" = action ]; then act; return 0; fi

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
	if [ -n "$foreign" ] && [ "$by" != noted-remove ]; then fail foreign "$foreign"; return 0; fi
	if [ "$before" != '*' ] && [ "$before" != "${h:--}" ] && ! among "$same"; then fail changed; return 0; fi
	was=$h note= err= verb=write
	if carryout; then
		[ "$h" = "$was" ] || changed="$changed$i "
		if [ "$h" = "$was" ]; then say done 0 "$h" "$note"; else say done 1 "${h:--}" "$note"; fi
		return 0
	fi
	cleartemp
	err=$(printf %s "$err" | tr '\n' ' ')
	fact "$kind" "$path"
	identify "$kind"
	case $by in noted-*) [ "$e" = 1 ] || strike ;; esac
	fail error "$verb" "${h:--}" "$err"
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
	file:*) newtemp && fill "$temp" && dress "$temp" && check && put ;;
	dir:*) makedir ;;
	link:*) verb=link; makelink ;;
	esac
}

# touched notes that the directory of $1 is to be put on disk at the end.
touched() {
	case $dirs in *"$nl${1%/*}/$nl"*) ;; *) dirs=$dirs$nl${1%/*}/$nl ;; esac
}

# finish is what is left to do when the script ends, for whatever reason.
finish() {
	cleartemp
	saveledger
	flush
}

flush() {
	[ -n "$dirs" ] || return 0
	old=$IFS IFS=$nl
	set -f
	for j in $dirs; do
		[ -z "$j" ] || [ ! -d "$j" ] || set -- "$@" "$j"
	done
	set +f
	IFS=$old dirs=
	[ $# = 0 ] || sync "$@" 2>/dev/null || sync
}

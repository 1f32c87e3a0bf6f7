# fact finds what is at $2, as kind $1 sees it: e (it exists), mode, uid, gid,
# foreign, and p, the path that is meant.
fact() {
	e=0 mode=0 uid=0 gid=0 foreign= p=$2 follow=
	case $1 in
	credential)
		kept
		return 0
		;;
	edit | source)
		follow=-L
		if [ "$1" = edit ] && { [ -e "$p" ] || [ -L "$p" ] || [ -d "$U" ]; }; then
			r=$(readlink -f "$p" 2>/dev/null; echo x)
			r=${r%"${nl}x"}
			case $r in /*) p=$r ;; esac
		fi
		[ -e "$p" ] || return 0
		;;
	*) [ -e "$p" ] || [ -L "$p" ] || return 0 ;;
	esac
	e=1
	if [ -z "$follow" ] && [ -L "$p" ]; then t='a symlink'
	elif [ -f "$p" ]; then t='a file'
	elif [ -d "$p" ]; then t='a directory'
	elif [ -S "$p" ]; then t='a socket'
	elif [ -p "$p" ]; then t='a pipe'
	else t='a device'
	fi
	case $1:$t in
	link:'a symlink') return 0 ;;
	file:'a file' | dir:'a directory' | edit:'a file' | source:'a file') ;;
	*) foreign=$t ;;
	esac
	# shellcheck disable=SC2046,SC2086 # words
	set -- "$1" $(stat $follow -c '%a %u %g' "$p" 2>/dev/null)
	mode=$2 uid=$3 gid=$4
	while [ ${#mode} -gt 3 ]; do mode=${mode#?}; done
	while :; do
		case $mode in 0?*) mode=${mode#0} ;; *) break ;; esac
	done
	if [ -z "$foreign" ] && [ -f "$p" ] && [ ! -r "$p" ]; then
		foreign="read $p: permission denied"
	fi
}

# content prints the bytes that belong to the fact found last.
content() {
	case $1 in
	file | edit | source) [ -n "$foreign" ] || cat "$p" ;;
	link) [ -n "$foreign" ] || readlink -n "$p" ;;
	credential) printf %s "$C" ;;
	esac
}

# identify sets h to the hash of the fact found last: host.Fact.Hash.
identify() {
	h=
	[ "$e" = 1 ] || return 0
	h=$({ printf '%s %s %s "%s"\n' "$mode" "$uid" "$gid" "$foreign"; content "$1"; } | $sum)
	h=sha256:${h%% *}
}

# tell answers with the fact found last; $2 is the answer's name.
tell() {
	say "$2" "$e" "$mode" "$uid" "$gid" "$foreign"
	if [ "$e" = 1 ]; then content "$1" | encode; fi
	[ "$1" != edit ] || tellrecord
	say .
}

look() {
	value
	case $kind in
	file | dir | link | source | edit | credential)
		fact "$kind" "$v"
		tell "$kind" fact
		;;
	runtime)
		if [ "$v" = login-docker-config ]; then
			loginuser
			fact source "$home/.docker/config.json"
			tell source fact
			return 0
		fi
		say fact 1 0 0 0
		case $v in
		machine) machine | encode ;;
		docker-info) dockerinfo | encode ;;
		ledger) { loadledger; printf %s "${L#"$nl"}"; records; } | encode ;;
		esac
		say .
		;;
	*) say unknown ;;
	esac
}

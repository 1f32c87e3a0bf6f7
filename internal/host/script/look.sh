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
		[ "$1" = source ] || direct "$p" || real
		if [ ! -e "$p" ]; then
			# What was written there would take the place of the link.
			[ "$1" = source ] || [ ! -L "$p" ] || e=1 foreign='a symlink that leads nowhere'
			return 0
		fi
		;;
	*) [ -e "$p" ] || [ -L "$p" ] || return 0 ;;
	esac
	if [ -z "$follow" ] && [ -L "$p" ]; then t='a symlink'
	elif [ -f "$p" ]; then t='a file'
	elif [ -d "$p" ]; then t='a directory'
	elif [ -S "$p" ]; then t='a socket'
	elif [ -p "$p" ]; then t='a pipe'
	else t='a device'
	fi
	case $1:$t in
	link:'a symlink')
		e=1
		return 0
		;;
	file:'a file' | dir:'a directory' | edit:'a file' | source:'a file') ;;
	*) foreign=$t ;;
	esac
	owned || return 0
	e=1
	if [ -z "$foreign" ] && [ -f "$p" ] && [ ! -r "$p" ]; then
		foreign="read $p: permission denied"
	fi
}

# direct tells whether a path is the name that the thing really has.
direct() {
	case $1/ in *//* | */./* | */../*) return 1 ;; esac
	j=$1
	while [ -n "$j" ]; do
		[ ! -L "$j" ] || return 1
		j=${j%/*}
	done
}

# real follows the symlinks in p. Busybox takes a link to what is not there for one from
# the working directory.
real() {
	r=$(cd "${p%/*}/" 2>/dev/null && readlink -f "${p##*/}" 2>/dev/null; echo x)
	r=${r%"${nl}x"}
	case $r in /*) p=$r ;; esac
}

# owned sets the mode, uid and gid of p, from S if it is there.
owned() {
	t=
	case $S in *" $p$nl"*)
		if [ -n "$follow" ] || [ ! -L "$p" ]; then
			t=${S%%" $p$nl"*}
			t=${t##*"$nl"}
		fi
		;;
	esac
	[ -n "$t" ] || t=$(stat $follow -c '%a %u %g' "$p" 2>/dev/null) || return 1
	mode=${t%% *} t=${t#* }
	uid=${t%% *} gid=${t#* }
	while [ ${#mode} -gt 3 ]; do mode=${mode#?}; done
	while :; do
		case $mode in 0?*) mode=${mode#0} ;; *) break ;; esac
	done
}

# identify sets h to the hash of the fact found last: host.Fact.Hash. The last of
# a directory is remembered: most are alike.
identify() {
	h=
	[ "$e" = 1 ] || return 0
	t="$mode $uid $gid \"$foreign\""
	case $1:$foreign in
	link:) h=$({ printf '%s\n' "$t"; readlink -n "$p"; } | $sum) ;;
	file: | edit: | source:) h=$({ printf '%s\n' "$t"; cat "$p"; } | $sum) ;;
	credential:) h=$({ printf '%s\n' "$t"; printf %s "$C"; } | $sum) ;;
	*)
		[ "$t" = "$hashed" ] || hash=$(printf '%s\n' "$t" | $sum)
		hashed=$t h=$hash
		;;
	esac
	h=sha256:${h%% *}
}

# tell answers with the fact found last; $2 is the answer's name.
tell() {
	say "$2" "$e" "$mode" "$uid" "$gid" "$foreign"
	case $e$1:$foreign in
	1link:)
		out
		readlink -n "$p" | $encode
		;;
	1credential:)
		out
		printf %s "$C" | $encode
		;;
	1file: | 1edit: | 1source:)
		# What was told a moment ago is not told again.
		if [ "$p" = "$told" ]; then say again
		elif [ -s "$p" ]; then
			out
			$encode <"$p"
		fi
		told=$p
		;;
	esac
	[ "$1" != edit ] || tellrecord
	say .
}

# asked notes a look, which is answered with all others of the request: stat then
# runs once for all that is there. P are their paths, a line each.
asked() {
	case $1 in
	file | dir | link | source | edit)
		[ ! -e "$2" ] || P=$P$2$nl
		;;
	esac
}

# looks answers them: kind, path, kind, path …
looks() {
	if [ -n "$P" ]; then
		old=$IFS IFS=$nl
		set -f
		# shellcheck disable=SC2086 # lines
		S=$nl$(stat -L -c '%a %u %g %n' $P 2>/dev/null)$nl
		set +f
		IFS=$old
	fi
	while [ $# -gt 0 ]; do
		case $1 in
		file | dir | link | source | edit | credential)
			fact "$1" "$2"
			tell "$1" fact
			;;
		runtime) about "$2" ;;
		*) say unknown ;;
		esac
		shift 2
	done
	S= P= told=
}

# A credential is a login that a helper of Docker's client keeps for a user. The op's
# path is the helper's name, the registry's address and the user.

# keeper takes such a path apart.
keeper() {
	helper=${p%% *} t=${p#* }
	address=${t%% *} owner=${t#* }
	case $helper in '' | -* | *[!A-Za-z0-9_-]*) return 1 ;; esac
	case $owner in '' | -*) return 1 ;; esac
}

# ask has the helper do $1, as its user and within a minute: one may be waiting for
# somebody to unlock it. What it is to read comes in.
ask() {
	cd / || return 1
	as='cd 2>/dev/null; t=/run/user/$(id -u); [ ! -d "$t" ] || export XDG_RUNTIME_DIR="$t"
		command -v "docker-credential-$0" >/dev/null || exit 127; exec "docker-credential-$0" "$1"'
	set -- "$as" "$helper" "$1"
	if [ "$owner" = "$(id -un)" ]; then set -- sh -c "$@"
	elif command -v runuser >/dev/null; then set -- runuser -s /bin/sh "$owner" -c "$@"
	else set -- su -s /bin/sh "$owner" -c "$@"
	fi
	! timeout 9 true 2>/dev/null || set -- timeout 60 "$@"
	"$@" 9>&- # one that starts a keeper of keys must not keep our lock
}

# kept sets C to what the helper keeps. It says by these words that that is nothing.
kept() {
	C=
	keeper || { e=1 foreign='not a helper, an address and a user'; return 0; }
	C=$(printf %s "$address" | ask get 2>/dev/null) && e=1 && return 0
	case $?:$C in
	127:*) e=1 foreign='not there' ;;
	124:*) e=1 foreign='it did not answer within a minute' ;;
	*'credentials not found'*) ;;
	*)
		e=1 foreign=$(printf %s "$address" | ask get 2>&1 | tr '\n' ' ')
		case $foreign in '' | *Secret*) foreign='it failed without a word' ;; esac
		;;
	esac
	C=
}

keep() {
	verb=store
	err=$(plainly | ask store 2>&1) || return 1
	fact credential "$path"
	identify credential
	[ -z "$C" ] || return 0
	err="it took the login and does not have it${foreign:+: $foreign}"
	return 1
}

# erase has the helper forget the login, unless the op says that something is to be
# there still: somebody else's.
erase() {
	verb=erase
	case $e:$foreign in
	0:) ;;
	1:)
		if [ "$wantexists" = 1 ]; then
			note='somebody else has logged in since, so that login stays'
		else
			err=$(printf %s "$address" | ask erase 2>&1) || return 1
			h=
		fi
		;;
	*'not there') note="docker-credential-$helper has gone: what it keeps stays with it" ;;
	*)
		err=$foreign
		return 1
		;;
	esac
	strike
}

# act carries out one of the actions by its name; what follows the name is its
# argument. There are no others.
act() {
	name=${path%% *} arg=
	case $path in *' '*) arg=${path#* } ;; esac
	err= note=
	out # this may take long
	case $name in
	reload-dockerd) reload ;;
	restart-service) restart ;;
	validate-dockerd) validate ;;
	update-ca-certificates)
		ownlinks
		once update-ca-certificates
		;;
	update-ca-trust) once update-ca-trust extract ;;
	trust-extract-compat) once trust extract-compat ;;
	docker-info-shows) await shows ;;
	docker-info-lacks) await lacks ;;
	verify-*) verify "${name#verify-}" ;;
	*)
		err="no such action"
		false
		;;
	esac || {
		fail error "$name" - "$(printf %s "$err" | tr '\n' ' ')"
		return 0
	}
	if [ "$action" = restart ]; then
		daemons=
		notdue
		changed="$changed$i "
		say done 1 - "$note"
	else
		say done 0 - "$note"
	fi
}

# ownlinks takes away what Debian's tool leaves of an anchor of ours that has gone,
# unless it is told to make all its links anew: a moment in which no link is there.
ownlinks() {
	for j in /etc/ssl/certs/*; do
		[ -L "$j" ] && [ ! -e "$j" ] || continue
		case $(readlink "$j") in
		/usr/local/share/ca-certificates/regctl-* | regctl-*) rm -f "$j" ;;
		esac
	done
}

# reload has dockerd read daemon.json again. One that does not run will read it
# when it starts.
reload() {
	if pid dockerd; then
		once kill -HUP "$pid"
	else
		note='dockerd does not run'
	fi
}

restart() {
	case $arg in '' | -* | */*)
		err='not the name of a service'
		return 1
		;;
	esac
	if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
		once systemctl restart "$arg"
	elif command -v rc-service >/dev/null; then
		once rc-service "$arg" restart
	else
		once service "$arg" restart
	fi
}

# validate asks dockerd itself, with the flags of the one that runs, since a key
# that is both flag and in the file stops its next start. Before 23.0 it cannot tell.
validate() {
	set --
	t=dockerd
	if pid dockerd; then
		arguments "$pid"
		old=$IFS IFS=$nl
		set -f
		# shellcheck disable=SC2086 # lines
		set -- $args
		set +f
		IFS=$old
		[ $# = 0 ] || shift
		t=$(readlink "/proc/$pid/exe") && [ -x "$t" ] || t=dockerd
	fi
	if ! command -v "$t" >/dev/null || ! "$t" --help 2>/dev/null | grep -q -e --validate; then
		note='this dockerd cannot validate its configuration'
		return 0
	fi
	[ -z "$arg" ] || set -- "$@" --config-file "$arg"
	once "$t" "$@" --validate
}

shows() { case $t in *"$arg"*) ;; *) return 1 ;; esac; }
lacks() { ! shows && [ -n "$t" ]; }

# await asks docker info for up to 20 s: dockerd answers a SIGHUP when it likes, and
# may be about to start.
await() {
	tries=100
	while [ $tries -gt 0 ]; do
		daemons=
		dockerinfo
		"$1" && return 0
		[ -z "$stop" ] || break
		tries=$((tries - 1))
		sleep 0.2 2>/dev/null || sleep 1
	done
	err="docker info still does not agree: $arg"
	return 1
}

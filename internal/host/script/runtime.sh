# daemons lists the daemons of this machine that matter, "name pid" a line. Those
# that see other mounts are another machine's: a container, for one.
daemons() {
	[ -z "$daemons" ] || return 0
	daemons=$nl
	for j in /proc/[0-9]*/comm; do
		IFS= read -r comm <"$j" || continue
		case $comm in
		dockerd | containerd | k3s | k3s-* | rke2 | buildkitd | crio) ;;
		*) continue ;;
		esac
		j=${j%/comm}
		[ "$j/ns/mnt" -ef /proc/self/ns/mnt ] || continue
		daemons=$daemons$comm\ ${j#/proc/}$nl
	done 2>/dev/null
}

# pid sets pid to that of the daemon called $1: the main one where there are several.
pid() {
	daemons
	pid=
	case $daemons in *"$nl$1"*) ;; *) return 1 ;; esac
	if [ "$1" = dockerd ] && [ -r /var/run/docker.pid ]; then
		read -r pid </var/run/docker.pid || :
		case $daemons in *"$nl$1 $pid$nl"*) return 0 ;; esac
	fi
	pid=${daemons#*"$nl$1"}
	pid=${pid#* }
	pid=${pid%%"$nl"*}
}

# arguments sets args to those of the process $1, one a line.
arguments() { args=$(tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null); }

# each answers with "$1 line" for each line of $2.
each() {
	old=$IFS IFS=$nl
	set -f
	for j in $2; do line "$1 $j"; done
	set +f
	IFS=$old
}

# machine answers with what there is to know of this machine, "key value" a line.
machine() {
	whoami
	for j in /etc/os-release /usr/lib/os-release; do
		[ -r "$j" ] || continue
		while IFS= read -r t; do
			case $t in
			ID=* | ID_LIKE=* | VERSION_ID=*) line "os-release $t" ;;
			esac
		done <"$j"
		break
	done
	if [ -r /proc/sys/kernel/arch ]; then
		IFS= read -r t </proc/sys/kernel/arch
	else
		t=$(uname -m)
	fi
	line "arch $t"
	[ ! -d /run/systemd/system ] || line 'init systemd'
	[ ! -e /sys/fs/selinux/enforce ] || line 'selinux on'
	tools docker dockerd podman buildah skopeo containerd nerdctl ctr crictl crio k3s rke2 buildctl buildkitd \
		curl openssl wget update-ca-certificates update-ca-trust trust
	for j in /var/run/docker.sock "/run/user/${SUDO_UID:-${me%:*}}/docker.sock" /run/containerd/containerd.sock \
		/run/k3s/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock /run/buildkit/buildkitd.sock; do
		[ ! -S "$j" ] || line "socket $j"
	done
	daemons
	each daemon "$daemons"
	if pid dockerd; then
		arguments "$pid"
		each dockerd-arg "$args"
		line "dockerd-pid $pid"
		t=$(readlink "/proc/$pid/exe") && [ -x "$t" ] || t=dockerd
		line "dockerd-version $("$t" --version 2>/dev/null)"
	fi
}

# tools answers with where on the path those are that are there.
tools() {
	k=
	old=$IFS IFS=:
	set -f
	for t in $PATH; do
		# Where /bin and /sbin are links they hold nothing new.
		case $t:$k in
		/bin:* | /sbin:*) [ ! -L "$t" ] || continue ;;
		*:*":$t:"*) continue ;;
		esac
		k=$k:$t:
	done
	for j in "$@"; do
		for t in $k; do
			if [ -n "$t" ] && [ -x "$t/$j" ] && [ ! -d "$t/$j" ]; then
				line "tool $j $t/$j"
				break
			fi
		done
	done
	set +f
	IFS=$old
}

# dockerinfo sets t to what docker info says, as JSON.
dockerinfo() {
	t=
	pid dockerd || return 0
	if command -v docker >/dev/null 2>&1; then
		t=$(docker -H unix:///var/run/docker.sock info --format '{{json .}}' 2>/dev/null </dev/null) || t=
	elif command -v curl >/dev/null 2>&1; then
		t=$(curl -s -m 10 --unix-socket /var/run/docker.sock http://localhost/info 2>/dev/null </dev/null)
	fi
}

# daemons lists the daemons of this machine that matter, "name pid" a line. Those
# that see other mounts are another machine's: a container, for one.
daemons() {
	[ -z "$daemons" ] || return 0
	daemons=$nl
	ns=$(readlink /proc/$$/ns/mnt 2>/dev/null)
	for j in /proc/[0-9]*/comm; do
		{ IFS= read -r comm <"$j"; } 2>/dev/null || continue
		case $comm in
		dockerd | containerd | k3s | k3s-* | rke2 | buildkitd | crio) ;;
		*) continue ;;
		esac
		j=${j%/comm}
		[ "$(readlink "$j/ns/mnt" 2>/dev/null)" = "$ns" ] || continue
		daemons=$daemons$comm\ ${j#/proc/}$nl
	done
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

# arguments prints those of the process $1, one a line.
arguments() { tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null; }

# loginuser sets login to the user who logged in, and home to that user's folder.
loginuser() {
	login=${SUDO_USER:-$(id -un)} home=
	while IFS=: read -r name _ _ _ _ t _; do
		[ "$name" != "$login" ] || home=$t
	done </etc/passwd
	# One from a directory service; root has been given root's HOME.
	[ -n "$home" ] || [ -n "$SUDO_USER" ] || home=$HOME
}

# machine prints what there is to know of this machine, "key value" a line.
machine() {
	echo "uid ${me%:*}"
	echo "gid ${me#*:}"
	echo "home $HOME"
	echo "login-uid ${SUDO_UID:-${me%:*}}"
	echo "login-gid ${SUDO_GID:-${me#*:}}"
	loginuser
	echo "login-user $login"
	[ -z "$home" ] || echo "login-home $home"
	for j in /etc/os-release /usr/lib/os-release; do
		[ -r "$j" ] || continue
		while IFS= read -r line; do
			case $line in
			ID=* | ID_LIKE=* | VERSION_ID=*) echo "os-release $line" ;;
			esac
		done <"$j"
		break
	done
	echo "arch $(uname -m)"
	[ ! -d /run/systemd/system ] || echo 'init systemd'
	[ ! -e /sys/fs/selinux/enforce ] || echo 'selinux on'
	for j in docker dockerd podman buildah skopeo containerd nerdctl ctr crictl crio k3s rke2 buildctl buildkitd \
		curl openssl wget update-ca-certificates update-ca-trust trust; do
		t=$(command -v "$j") && echo "tool $j $t"
	done
	for j in /var/run/docker.sock "/run/user/${SUDO_UID:-${me%:*}}/docker.sock" /run/containerd/containerd.sock \
		/run/k3s/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock /run/buildkit/buildkitd.sock; do
		[ ! -S "$j" ] || echo "socket $j"
	done
	daemons
	printf %s "$daemons" | while IFS= read -r line; do
		[ -z "$line" ] || echo "daemon $line"
	done
	if pid dockerd; then
		arguments "$pid" | while IFS= read -r line; do echo "dockerd-arg $line"; done
		echo "dockerd-pid $pid"
		t=$(readlink "/proc/$pid/exe") && [ -x "$t" ] || t=dockerd
		echo "dockerd-version $("$t" --version 2>/dev/null)"
	fi
}

dockerinfo() {
	t=
	pid dockerd || return 0
	if command -v docker >/dev/null; then
		t=$(docker -H unix:///var/run/docker.sock info --format '{{json .}}' 2>/dev/null </dev/null) || t=
	elif command -v curl >/dev/null; then
		t=$(curl -s -m 10 --unix-socket /var/run/docker.sock http://localhost/info 2>/dev/null)
	fi
	printf '%s' "$t"
}

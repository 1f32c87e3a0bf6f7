# verify proves that this machine can pull: it does so in the way called $1, from what
# has just been served for the first time, and takes away what that left. The op's data
# are lines: the image or URL, the digests that it may have, and for how many seconds a
# name is waited for that is not known yet; the rest is for a file. Credentials are in
# that file, in a folder of ours alone: never an argument, never in the environment.
verify() {
	command -v "pull_$1" >/dev/null || { err='no such way'; return 1; }
	d=$(plainly; echo x)
	d=${d%x}
	image=${d%%"$nl"*} d=${d#*"$nl"}
	digests=${d%%"$nl"*} d=${d#*"$nl"}
	patience=${d%%"$nl"*} d=${d#*"$nl"}
	ours=regctl-canary-$$ ended=
	workspace || return 1
	given=$temp/config.json # the name that docker takes it by
	err=$({ printf %s "$d" >"$given"; } 2>&1) || { cleartemp; return 1; }
	d=
	unset DOCKER_CONTEXT DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CONTENT_TRUST CONTAINER_HOST \
		CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR
	since=$(date +%s)
	until "pull_$1"; do
		if [ -n "$stop" ] || ! passing; then break; fi
		sleep 0.5
	done
	pulled=$rc
	[ "$pulled" = 0 ] || err=$(tail -c 2000 "$temp/out")
	[ -z "$ended" ] || sleep 1 # a daemon may still be at it
	if command -v "drop_$1" >/dev/null && ! "drop_$1" && [ "$pulled" = 0 ]; then
		note="$image is left there: it could not be removed"
	fi
	cleartemp
	[ "$pulled" = 0 ]
}

# workspace makes a folder in memory where there is one. Those of scripts that were
# killed go.
workspace() {
	for j in /run "/run/user/${me%:*}" "${TMPDIR:-/tmp}"; do
		temp=$(mktemp -d "$j/regctl-verify-$$-XXXXXX" 2>/dev/null) && break
	done
	if [ -z "$temp" ]; then
		err='there is no room for a temporary folder'
		return 1
	fi
	for j in "${temp%/*}"/regctl-verify-*; do
		k=${j##*/regctl-verify-}
		[ -e "/proc/${k%%-*}" ] || rm -rf "$j"
	done
	: >"$temp/in"
}

# passing tells whether it is worth trying again: a daemon that starts, or one that
# has not seen yet what was written into /etc/hosts.
passing() {
	case $(cat "$temp/out") in
	*'.sock'*) k=20 ;;
	*'no such host'* | *' lookup '* | *'name resolution'* | *'onnection refused'*) k=$patience ;;
	*) return 1 ;;
	esac
	[ $(($(date +%s) - since)) -lt "$k" ]
}

# bounded runs a command until it ends, its time is up or we are stopped; what it
# prints is in $temp/out.
bounded() {
	! command -v timeout >/dev/null || set -- timeout 35 "$@"
	child=
	trap 'stop=1; kill $child 2>/dev/null' TERM INT HUP
	"$@" <"$temp/in" >"$temp/out" 2>&1 &
	child=$! rc=0
	wait $child || rc=$?
	[ -z "$stop" ] || { ended=1 && wait $child; }
	trap 'stop=1' TERM INT HUP
	case $rc in 124 | 143) ended=1 && echo 'timed out' >>"$temp/out" ;; esac
	return $rc
}

# found tells whether what was printed names one of the digests.
found() {
	for j in $digests; do
		! grep -q "$j" "$temp/out" || return 0
	done
	echo 'another image came' >>"$temp/out"
	rc=1
	return 1
}

# quick runs what tidies up.
quick() {
	! command -v timeout >/dev/null || set -- timeout 10 "$@"
	"$@" </dev/null 2>/dev/null
}

pull_docker() { bounded env DOCKER_CONFIG="$temp" docker -H "unix://$arg" pull "$image" && found; }
drop_docker() { quick env DOCKER_CONFIG="$temp" docker -H "unix://$arg" image rm "$image" >/dev/null; }

pull_dockerapi() {
	bounded curl -q -sS -g -X POST -K "$given" --unix-socket "$arg" "http://localhost/images/create?fromImage=${image%:*}&tag=${image##*:}" &&
		{ ! grep -q '"error"\|"message"' "$temp/out" || rc=1; } && [ $rc = 0 ] && found
}
drop_dockerapi() { quick curl -q -s -g -X DELETE --unix-socket "$arg" "http://localhost/images/$image" >/dev/null; }

# instore runs a tool of the podman family on a store of its own. What these tools
# keep beside their stores is hidden from them where that can be.
instore() {
	k=$1
	shift
	set -- "$k" --root "$temp/root" --runroot "$temp/run" --storage-driver vfs "$@"
	apart "$@"
}

apart() {
	mkdir -p "$temp/none"
	printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/root"\nrunroot = "%s/run"\n' "$temp" "$temp" >"$temp/storage.conf"
	made=
	if [ "${me%:*}" = 0 ] && unshare -m true 2>/dev/null; then
		[ -d /var/lib/containers ] || { mkdir -m 755 /var/lib/containers && made=1; }
		# shellcheck disable=SC2016 # its own $
		set -- unshare -m sh -c 'mount --make-rprivate / && mount --bind "$0" /var/lib/containers && mount -t tmpfs tmpfs /dev/shm
			exec "$@"' "$temp/none" "$@"
	fi
	bounded env CONTAINERS_STORAGE_CONF="$temp/storage.conf" XDG_DATA_HOME="$temp/none" TMPDIR="$temp" "$@"
	[ -z "$made" ] || rmdir /var/lib/containers 2>/dev/null
	return $rc
}

pull_podman() {
	set -- podman --tmpdir "$temp/tmp" --events-backend none
	instore "$@" pull -q --authfile "$given" "$image" && instore "$@" image inspect --format '{{.RepoDigests}}' "$image" && found
}

pull_buildah() {
	instore buildah pull -q --authfile "$given" "$image" && instore buildah images --format '{{.Digest}}' && found
}

pull_skopeo() {
	apart skopeo copy -q --all --src-authfile "$given" "docker://$image" "dir:$temp/image" && $sum <"$temp/image/manifest.json" >"$temp/out" &&
		digests=$(printf %s "$digests" | sed 's/sha256://g') && found
}

# client has $1 run a client of containerd called $2: one on PATH, or k3s's or rke2's
# own. The rest of arg is the socket and more.
client() {
	k=$1 t=$2
	shift 2
	case ${arg%% *} in
	k3s) "$k" k3s "$t" "$@" ;;
	rke2) "$k" "/var/lib/rancher/rke2/bin/$t" "$@" ;;
	*) "$k" "$t" "$@" ;;
	esac
}

cri() {
	k=$1
	shift
	client "$k" crictl --runtime-endpoint "unix://${arg#* }" --image-endpoint "unix://${arg#* }" "$@"
}
pull_crictl() { cri bounded pull "$image" && cri bounded inspecti "$image" && found; }
drop_crictl() { cri quick rmi "$image" >/dev/null; }

inspace() {
	k=$1 t=${arg#* }
	shift
	client "$k" ctr --address "${t%% *}" --namespace "$ours" "$@"
}

# pull_ctr names the hosts by a folder, which for a credential is a copy. It fetches
# and does not unpack, for which it would have to know the snapshotter.
pull_ctr() {
	t=${arg#* * } dir=${arg#* * * }
	if [ -s "$given" ]; then
		k=$dir/${image%%/*} dir=$temp/hosts
		mkdir -p "$dir"
		cp -R "$k" "$dir"
		k=$dir/${image%%/*}/hosts.toml
		{
			if grep -qF "[host.\"${t%% *}\"]" "$k"; then printf '\n[host."%s".header]\n' "${t%% *}"; else printf '\n[header]\n'; fi
			cat "$given"
		} >>"$k" 2>/dev/null
	fi
	inspace bounded content fetch --hosts-dir "$dir" "$image" && found
}
drop_ctr() {
	inspace quick images rm --sync "$image" >/dev/null
	for k in 1 2 3 4 5 6 7 8 9; do
		for t in $(inspace quick leases ls -q); do inspace quick leases rm --sync "$t" >/dev/null; done
		inspace quick namespaces rm "$ours" >/dev/null
		inspace quick namespaces ls -q | grep -qx "$ours" || return 0
		sleep 0.2
	done
	return 1
}

pull_nerdctl() {
	bounded env DOCKER_CONFIG="$temp" nerdctl --namespace "$ours" --data-root "$temp/nerdctl" pull --unpack=false "$image" && found
}
drop_nerdctl() {
	quick nerdctl --namespace "$ours" --data-root "$temp/nerdctl" rmi -f "$image" >/dev/null
	for k in 1 2 3 4 5 6 7 8 9; do
		! quick nerdctl namespace rm "$ours" >/dev/null || return 0
		sleep 0.2
	done
	return 1
}

# buildctl reads what to build, which is the image and nothing more, and has nothing
# done with it.
pull_buildctl() {
	err=$({ printf %s "${arg#* }" | decode >"$temp/in"; } 2>&1)
	set --
	! buildctl build --help 2>/dev/null | grep -q -e --ref-file || set -- --ref-file "$temp/ref"
	bounded env DOCKER_CONFIG="$temp" buildctl --addr "unix://${arg%% *}" build --progress plain "$@"
}
drop_buildctl() {
	[ ! -s "$temp/ref" ] || quick buildctl --addr "unix://${arg%% *}" debug ctl --delete "$(cat "$temp/ref")" >/dev/null
	for k in 1 2 3 4 5 6 7 8 9; do
		quick buildctl --addr "unix://${arg%% *}" prune --all --filter "description~=\"${image##*:}\"" >/dev/null
		quick buildctl --addr "unix://${arg%% *}" du --verbose | grep -q "${image##*:}" || return 0
		sleep 0.2
	done
	return 1
}

# The ways below ask for /v2/ and take 200 or 401 for an answer. The file that was
# given is the CA; without one it is for the system to know whom it trusts.
answered() {
	[ "$rc" = 0 ] && ! grep -Eq "$1" "$temp/out" && rc=1
	[ "$rc" = 0 ]
}
pull_curl() {
	[ ! -s "$given" ] || set -- --cacert "$given"
	bounded curl -q -sS -g -m 30 -o /dev/null -w 'status %{http_code}\n' "$@" "$image"
	answered 'status (200|401)'
}
pull_openssl() {
	[ ! -s "$given" ] || set -- -CAfile "$given"
	k=${arg#* }
	printf 'GET /v2/ HTTP/1.0\r\nHost: %s\r\n\r\n' "${k#* }" >"$temp/in"
	case ${k%% *} in hostname) set -- "$@" -servername "${k#* }" ;; esac
	bounded env HOME="$temp" openssl s_client -quiet -connect "${arg%% *}" -verify_return_error "-verify_${k%% *}" "${k#* }" "$@"
	answered '^HTTP/1.. (200|401)'
}
pull_wget() {
	if ! wget --version 2>/dev/null | grep -q 'GNU Wget'; then
		echo 'not GNU wget' >"$temp/out"
		rc=1
		return 1
	fi
	[ ! -s "$given" ] || set -- --ca-certificate="$given"
	bounded env HOME="$temp" wget --no-config -nv -O /dev/null -t 1 -T 30 "$@" "$image"
	[ "$rc" != 6 ] || rc=0 # a password is asked for
	return $rc
}

# Removes what a fleet leaves behind when its test ends or dies, that is when stdin
# ends: the namespaces end by themselves.
#	$1  the fleet's folder, whose name is the alias of its link and names its cgroups
cat >/dev/null
PATH=/usr/sbin:/usr/bin:/sbin:/bin
name=${1##*/}
for alias in /sys/class/net/rgf*/ifalias; do
	[ "$(cat "$alias" 2>/dev/null)" != "$name" ] || {
		alias=${alias%/ifalias}
		ip link del "${alias##*/}"
	}
done
gone() {
	rm -rf --one-file-system -- "$1" || return 1
	for group in "/sys/fs/cgroup/$name"-* /sys/fs/cgroup/*/"$name"-*; do
		[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + || return 1
	done
}
n=0
until gone "$1"; do
	n=$((n + 1))
	[ $n -lt 100 ] || exit 1
	sleep 0.1
done

# Boots the machine's own systemd as process 1 of namespaces of its own, with no
# unit but its journal: for tests of what we ask of systemd. Arguments: an empty
# folder, and a name for a cgroup. Nothing outside is touched but that cgroup,
# which is to be removed when systemd has been killed.
set -eu
folder=$1 group=$2
if [ -z "${inside-}" ]; then
	# The group must be ours alone before the cgroup namespace is made around it.
	mount -t cgroup2 cgroup2 "$folder"
	mkdir -p "$folder/$group"
	echo $$ >"$folder/$group/cgroup.procs"
	inside=1 exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts --net sh "$0" "$folder" "$group"
fi
ip link set lo up
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
units=/lib/systemd/system
umount "$folder"
mount -t tmpfs tmpfs "$folder"
for target in sysinit basic multi-user network-online shutdown sockets; do
	grep -Ev '^(Wants|Requires)=' $units/$target.target >"$folder/$target.target"
done
cp $units/systemd-journald.service $units/systemd-journald*.socket "$folder"
cat >"$folder/test.target" <<END
[Unit]
Description=regctl's test
DefaultDependencies=no
Wants=systemd-journald.socket systemd-journald.service
AllowIsolate=yes
END
mount --bind "$folder" $units
for private in /etc/systemd/system /run /srv /lib/systemd/system-generators /lib/systemd/system-environment-generators; do
	if [ -d $private ]; then mount -t tmpfs -o mode=0755 tmpfs $private; fi
done
if [ -d /var/log/journal ]; then mount -t tmpfs tmpfs /var/log/journal; fi
mount -t proc proc /proc
exec env -i container=test /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no

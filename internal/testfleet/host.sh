# The first process of a host, in new namespaces: it makes the file system, waits for
# the network, starts the servers and then lives until its stdin ends.
#
#	DIR      the host's folder; files/ in it is copied over the new root
#	NAME     the host's name
#	DISK     size of its disk, of memory, that is filled; or empty for DIR's disk
#	LOGIN    login shell of root
#	GROUP    the cgroup for its containers; or empty if it has no engine
#	START    servers, of: sshd docker containerd
#	THEN     of: readonly-etc noexec-tmp broken-daemon
set -eu
exec 3>&1 4<&0 >"$DIR/log" 2>&1 </dev/null
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { case " $1 " in *" $2 "*) ;; *) return 1 ;; esac }

mount --make-rprivate /
base=$DIR/disk
mkdir "$base"
[ -z "$DISK" ] || mount -t tmpfs -o "size=$DISK,mode=755" disk "$base"
root=$base/root
mkdir -p "$root"
mount --bind "$root" "$root"
for d in usr etc bin sbin lib lib32 lib64 libx32; do
	if [ -L /$d ]; then
		cp -a /$d "$root/$d"
	elif [ -d /$d ]; then
		mkdir -p "$root/$d" "$base/upper/$d" "$base/work/$d"
		mount -t overlay -o "lowerdir=/$d,upperdir=$base/upper/$d,workdir=$base/work/$d" overlay "$root/$d"
	fi
done
cd "$root"
mkdir -p dev proc sys run root home opt srv mnt media tmp old ../local \
	var/cache var/lib/misc var/lib/sudo var/log var/mail var/opt var/spool var/tmp
chmod 1777 tmp var/tmp
ln -s /run var/run
ln -s /run/lock var/lock
mount --bind ../local usr/local
mkdir usr/local/bin usr/local/etc usr/local/lib usr/local/sbin usr/local/share
mount -t tmpfs -o mode=755 run run
mkdir run/lock run/sshd
chmod 1777 run/lock
mount -t proc proc proc
mount -t sysfs sysfs sys
# What an engine here takes for the root of the cgroups is one below the machine's,
# which the watcher finds by the fleet's name.
cgroups() {
	mkdir "$1/$GROUP" "$2" 2>/dev/null || :
	if [ -e "$1/cpuset.mems" ]; then
		cat "$1/cpuset.cpus" >"$1/$GROUP/cpuset.cpus"
		cat "$1/cpuset.mems" >"$1/$GROUP/cpuset.mems"
	fi
	mount --bind "$1/$GROUP" "$2"
}
if [ -z "$GROUP" ]; then
	: # no engine
elif [ -e /sys/fs/cgroup/cgroup.procs ]; then
	cgroups /sys/fs/cgroup sys/fs/cgroup
else
	mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
	for c in /sys/fs/cgroup/*; do
		if [ -L "$c" ]; then
			cp -a "$c" sys/fs/cgroup/
		elif [ -e "$c/cgroup.procs" ]; then
			cgroups "$c" "sys/fs/cgroup/${c##*/}"
		fi
	done
fi
mount -t tmpfs -o mode=755 dev dev
for d in null zero full random urandom tty fuse kmsg; do
	[ ! -e /dev/$d ] || cp -a /dev/$d dev/
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr

# podman's, which may come into the machine's own folder at any time.
[ ! -d etc/cni/net.d ] || : >>etc/cni/net.d/cni.lock
rm -rf etc/docker etc/default/docker etc/ssh/ssh_host_* etc/hosts etc/hostname etc/resolv.conf
cp -a "$DIR/files/." .
chmod 700 root
for f in passwd shadow group; do
	[ ! -e "$DIR/$f" ] || cat "$DIR/$f" >>etc/$f
done
sed -i "s#^\(root:.*:\)[^:]*\$#\1$LOGIN#" etc/passwd
[ ! -d home/ops ] || chown -R 4242:4242 home/ops

echo "$NAME" >/proc/sys/kernel/hostname
pivot_root . old
cd /
umount -l old
rmdir old

read -r _ <&4 || exit 0 # the network is there
ip -batch /run/network
rm /run/network

# As a server of its own: it keeps none of our files open.
serve() { "$@" 3>&- 4<&- </dev/null; }
wait_for() {
	until "$@" >/dev/null 2>&1; do sleep 0.1; done
}
if has "$START" docker; then
	# It asks for more files than some kernels, and for more than some roots, may have.
	sed -i 's/^\([[:space:]]*\)ulimit .*/\1:/' /etc/init.d/docker
	serve /etc/init.d/docker start
	wait_for docker version
fi
if has "$START" containerd; then
	serve containerd >/var/log/containerd.log 2>&1 &
	wait_for ctr version
fi
if has "$THEN" broken-daemon; then
	mkdir -p /etc/docker
	printf '{"debug": true,\n' >/etc/docker/daemon.json
fi
! has "$THEN" noexec-tmp || mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmp /tmp
! has "$THEN" readonly-etc || mount -o remount,ro /etc
if has "$START" sshd; then
	serve /usr/sbin/sshd -E /run/sshd.log
	wait_for test -s /run/sshd.pid # it goes into the background before it listens
fi
[ -z "$DISK" ] || cat /dev/zero >/var/filler 2>/dev/null || :

# Wait for children, orphans too, until stdin ends; the kernel then ends the rest.
trap 'exit 0' TERM
{
	cat <&4 >/dev/null
	kill -TERM 1
} 3>&- &
exec 4<&-
echo up >&3
exec 3>&-
while :; do wait; done

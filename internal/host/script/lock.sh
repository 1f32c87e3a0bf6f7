# lock keeps other runs of ours from changing this machine until the end of the batch.
# It is taken on a folder that nobody else can open, and leaves nothing behind.
lock() {
	case $locked in
	yes) return 0 ;;
	no) return 1 ;;
	esac
	locked=yes
	command -v flock >/dev/null 2>&1 && [ -r "$K" ] && [ -x "$K" ] || return 0
	exec 9<"$K"
	tries=300
	until flock -n 9 2>/dev/null; do
		# Another status says that this file system knows no locks.
		[ $? = 1 ] || return 0
		tries=$((tries - 1))
		if [ -n "$stop" ] || [ $tries = 0 ]; then
			unlock
			locked=no
			return 1
		fi
		sleep 0.2 2>/dev/null || sleep 1
	done
}

unlock() {
	[ "$locked" != yes ] || exec 9<&-
	locked=
}

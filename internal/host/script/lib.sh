# What regctl runs on a client. Everything here is constant: paths, names and
# contents come in as data by read, and are only ever used inside quotes. A process
# costs a machine more than all else here, so what the shell can do it does itself.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
nl='
'
stop= late= latemode= failed= changed=' ' synced= new= temp= U= K= L= S= P= O= struck= locked= told= daemons= hashed= hash=
# A pipe that nobody reads is no reason to end in the middle of something either.
trap 'stop=1' TERM INT HUP PIPE
trap finish EXIT

if command -v sha256sum >/dev/null 2>&1; then sum=sha256sum
elif command -v openssl >/dev/null 2>&1; then sum='openssl dgst -sha256 -r'
else sum='shasum -a 256'
fi
if command -v base64 >/dev/null 2>&1; then
	encode=base64 decode='base64 -d'
else
	encode='openssl base64' decode='openssl base64 -d'
fi

# say answers with a line that the other side listens to, line with one of a text. They
# are sent together: each piece is work for the sshd between us.
say() { O="$O$M $*$nl"; }
line() { O=$O$1$nl; }

out() {
	[ -z "$O" ] || printf %s "$O" || exit 1
	O=
}

# block reads $1 lines into d. They are gathered by the hundred: a shell copies the whole
# of what it adds to, which takes minutes with a file of megabytes.
block() {
	d= k=$1 some=
	while [ "$k" -gt 0 ]; do
		IFS= read -r line || exit 1
		some=$some$line$nl
		case $k in *00) d=$d$some some= ;; esac
		k=$((k - 1))
	done
	d=$d$some some=
}

# value reads a text into v: as it is after a "=", else in base64 after a count of
# lines. The x keeps the newlines at its end.
value() {
	IFS= read -r v || exit 1
	case $v in
	=*) v=${v#=} ;;
	*)
		block "$v"
		v=$(printf %s "$d" | $decode; echo x)
		v=${v%x}
		;;
	esac
}

# runs does what may be done twice: a second time for the error.
runs() { "$@" >/dev/null 2>&1 </dev/null || err=$("$@" 2>&1 </dev/null); }

# once keeps what a command prints, for the error. It may start what outlives us,
# which must not keep our lock.
once() { err=$("$@" 2>&1 </dev/null 9>&-); }

# has tells whether $1 is a line of the file $2.
has() {
	while IFS= read -r line; do
		[ "$line" != "$1" ] || return 0
	done <"$2"
	return 1
}

# ourselves sets me to our user and group ids.
ourselves() {
	me=
	if [ -r /proc/self/status ]; then
		while read -r k _ v _; do
			case $k in
			Uid:) me=$v ;;
			Gid:)
				me=$me:$v
				break
				;;
			esac
		done </proc/self/status
	fi
	case $me in ?*:?*) ;; *) me=$(id -u):$(id -g) ;; esac
}

# Root writes into folders of other users too, who could lead it elsewhere by a symlink.

# unsafe tells whether the way to the op's thing could do that, and says in err what is
# in the way. Whoever is not root can do only what they may do anyway.
unsafe() {
	[ "${me%:*}" = 0 ] || return 1
	way "$path" || return 0
	[ -n "$whose" ] && [ "$p" != "$path" ] || return 1
	# A link that is theirs may lead to what is theirs.
	j=$whose
	way "$p" || return 0
	[ "$whose" != "$j" ] || return 1
	err="$path leads to $p, which is not that user's"
}

# way walks down to the thing at $1. Below the first folder that is not root's, whose
# owner whose is set to, there may be no symlink and nothing of a third user.
way() {
	whose= strange= k= r=${1%/*}/
	while [ -n "$r" ]; do
		k=$k${r%%/*} r=${r#*/}
		if [ -n "$k" ]; then
			if [ -n "$strange" ] && [ -L "$k" ]; then
				err="$k is a symlink in a folder that is not root's"
				return 1
			fi
			[ -e "$k" ] || break
			[ -z "$strange" ] && [ -O "$k" ] || strange=$strange$k$nl
		fi
		k=$k/
	done
	[ -n "$strange" ] || return 0
	old=$IFS IFS=$nl
	set -f
	# shellcheck disable=SC2046,SC2086 # lines
	set -- $(stat -L -c '%u %n' $strange 2>/dev/null)
	set +f
	IFS=$old
	whose=${1%% *}
	for r in "$@"; do
		case $r in "$whose "* | '0 '*) continue ;; esac
		err="${r#* } belongs to a third user"
		return 1
	done
}

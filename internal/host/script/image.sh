# Has the Docker Engine hold an image, or let it go. Standard input: a marker that begins
# every answer, "load", "drop" or "await" (to drop it when the swarm's tasks have ended),
# the image's ID, and after "send" was answered the archive, up to the input's end.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
nl='
'
IFS= read -r M && IFS= read -r verb && IFS= read -r id || exit 1
say() {
	verb=$1
	shift
	printf '\n%s %s %s\n' "$M" "$verb" "$(printf %s "$*" | tr '\n' ' ')"
	exit 0
}
engine() { docker -H unix:///var/run/docker.sock "$@"; }
holds() { [ "$(engine image inspect --format '{{.Id}}' "$id" 2>/dev/null </dev/null)" = "$id" ]; }
command -v docker >/dev/null 2>&1 || say lacks docker
why=$(engine version 2>&1 >/dev/null </dev/null) || say fails "$why"
case $verb in
load)
	! holds || say had
	printf '\n%s send\n' "$M"
	why=$(engine load -q 2>&1) || say fails "$why"
	holds || {
		case $why in
		'Loaded image: regctl/registry:'*) engine image rm "${why#Loaded image: }" >/dev/null 2>&1 </dev/null ;;
		esac
		say other "$why"
	}
	say has
	;;
drop | await)
	holds || say lacks image
	# What tasks of a swarm left is cleared away: the swarm itself keeps it for its history.
	tries=0
	[ "$verb" = drop ] || tries=20
	until
		past=$(engine ps -aq --filter "ancestor=$id" --filter label=com.docker.swarm.task.id \
			--filter status=created --filter status=exited --filter status=dead </dev/null)
		# shellcheck disable=SC2086 # a list of IDs
		[ -z "$past" ] || engine rm $past >/dev/null 2>&1 </dev/null
		why=$(engine image rm "$id" 2>&1 </dev/null)
	do
		tries=$((tries - 1))
		users=$(engine ps -a --filter "ancestor=$id" --format 'of {{.Label "com.docker.swarm.task.id"}}' </dev/null)
		case $nl$users$nl in *"${nl}of $nl"* | "$nl$nl") say keeps "$why" ;; esac
		[ $tries -gt 0 ] || say keeps "$why"
		sleep 0.5 2>/dev/null || sleep 1
	done
	say dropped
	;;
esac
exit 1

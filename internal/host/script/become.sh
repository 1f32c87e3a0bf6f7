# Runs as the login user: becomes root when that user is not, then lets the loader
# read the script proper. Standard input: a marker, the prompt that sudo is to
# show, the number of bytes that follow for the loader, and those bytes.
IFS= read -r M && IFS= read -r prompt && IFS= read -r n || exit 1
ready='printf "\n%s ready\n" "$1"'
if [ "$(id -u)" = 0 ]; then
	exec sh -c "$ready; $LOADER" sh "$M"
fi
why=
if command -v sudo >/dev/null 2>&1; then
	if why=$(LC_ALL=C sudo -n sh -c : 2>&1 </dev/null); then
		exec sudo -n -H sh -c "$ready; $LOADER" sh "$M"
	fi
else
	why='sudo: not found'
fi
# What was sent ahead is read away: it is sent again once root is there.
while [ "$n" -gt 0 ]; do
	c=$(dd bs="$n" count=1 2>/dev/null; echo x)
	c=${c%x}
	[ -n "$c" ] || exit 1
	n=$((n - ${#c}))
done
printf '\n%s refused %s\n' "$M" "$(printf %s "$why" | tr '\n' ' ')"
IFS= read -r go || exit 1
case $go in
ask) ;;
stay) exec sh -c "$ready; $LOADER" sh "$M" ;;
*) exit 1 ;;
esac
LC_ALL=C exec sudo -S -H -p "$prompt" sh -c "$ready; $LOADER" sh "$M"

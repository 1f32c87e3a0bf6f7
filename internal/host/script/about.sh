# about answers what the machine is asked about itself. The lines are text.
about() {
	if [ "$1" = login-docker-config ]; then
		loginuser
		fact source "$home/.docker/config.json"
		tell source fact
		return 0
	fi
	say fact 1 0 0 0
	case $1 in
	whoami) whoami ;;
	machine) machine ;;
	ledger)
		loadledger
		O=$O${L#"$nl"}
		records
		;;
	docker-info)
		dockerinfo
		[ -z "$t" ] || line "$t"
		;;
	esac
	say text
}

# whoami answers with whom the ops are carried out as, and who logged in: "key value" a line.
whoami() {
	line "uid ${me%:*}"
	line "gid ${me#*:}"
	line "home $HOME"
	line "login-uid ${SUDO_UID:-${me%:*}}"
	line "login-gid ${SUDO_GID:-${me#*:}}"
	loginuser
	line "login-user $login"
	[ -z "$home" ] || line "login-home $home"
}

# loginuser sets login to the user who logged in, and home to that user's folder.
# Those who are not in passwd are asked about elsewhere.
loginuser() {
	login=$SUDO_USER home=
	while IFS=: read -r name _ j _ _ t _; do
		if [ "$name" = "$SUDO_USER" ] || { [ -z "$SUDO_USER" ] && [ "$j" = "${me%:*}" ]; }; then
			login=$name home=$t
			break
		fi
	done </etc/passwd
	[ -n "$login" ] || login=$(id -un)
	# One from a directory service; root has been given root's HOME.
	[ -n "$home" ] || [ -n "$SUDO_USER" ] || home=$HOME
}

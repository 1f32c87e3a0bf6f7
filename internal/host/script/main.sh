# Standard input: a marker that begins every answer, then commands. The answers go
# between whatever else a login shell prints.
IFS= read -r M && IFS= read -r U || exit 1
ourselves
undodir
say hello "$me"
set --
while IFS= read -r cmd; do
	case $cmd in
	'look '*)
		value
		asked "${cmd#look }" "$v"
		set -- "$@" "${cmd#look }" "$v"
		;;
	ledger) tellledger ;;
	more) more ;;
	do) op ;;
	end)
		looks "$@"
		set --
		settle
		finish
		say end
		out
		failed= stop= changed=' ' daemons=
		;;
	*) exit 1 ;;
	esac
done

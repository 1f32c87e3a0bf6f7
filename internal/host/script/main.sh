# Standard input: a marker that begins every answer, then commands. The answers go
# between whatever else a login shell prints.
IFS= read -r M && IFS= read -r U || exit 1
me=$(id -u):$(id -g)
daemons=
undodir
say hello "$me"
while IFS= read -r cmd; do
	case $cmd in
	'look '*)
		kind=${cmd#look }
		look
		;;
	ledger) tellledger ;;
	do) op ;;
	end)
		saveledger
		flush
		say end
		failed= stop= changed=' ' daemons=
		;;
	*) exit 1 ;;
	esac
done

# notedremove takes away what our part made, if it is as we left it.
notedremove() {
	case $kind in
	dir)
		strike_dir
		return
		;;
	credential)
		erase
		return
		;;
	esac
	if [ "$e" = 1 ] && [ -z "$theirs" ]; then
		if [ -n "$asleft" ] && [ -z "$foreign" ]; then
			verb=remove
			runs rm -f "$p" || return 1
			h=
			touched "$p"
		else
			note='somebody else changed it since, so it stays'
		fi
	fi
	strike
}

strike_dir() {
	if [ "$e" = 1 ] && [ -z "$foreign" ]; then
		rmdir "$p" 2>/dev/null || { cleardead "$p" && rmdir "$p" 2>/dev/null; } && h= && touched "$p"
		if [ -n "$h" ]; then
			within || { strike all; note='it holds something of somebody else, so it stays'; }
			return 0
		fi
	fi
	strike all
}

# within tells whether anything of ours is noted below the op's path.
within() {
	case $L in *" $path/"*) return 0 ;; esac
	for R in "$U"/*/; do
		{ IFS= read -r t <"$R/name"; } 2>/dev/null || continue
		case $t in "$path/"*) return 0 ;; esac
	done
	return 1
}

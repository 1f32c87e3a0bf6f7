# What we made on this machine is noted in $U/ledger, a line each: kind, part, hash (of
# a file also that of its bytes alone, behind a colon) and path. A line is written
# before its thing is made. In memory it is L, with a newline on both sides of each.

# loadledger reads it once a request. A line that was cut short is no line.
loadledger() {
	[ -z "$L" ] || return 0
	L=$nl torn= struck= line=
	[ -f "$U/ledger" ] || return 0
	while IFS= read -r line; do L=$L$line$nl; done <"$U/ledger"
	torn=$line
}

# tellledger answers with the ledger.
tellledger() {
	loadledger
	O=$O${L#"$nl"}
	say ledger
}

# records answers with a line for each part of ours in a file of somebody else.
records() {
	for R in "$U"/*/; do
		{ IFS= read -r t <"$R/name"; } 2>/dev/null || continue
		h=-
		while IFS= read -r j; do h=$j; done <"$R/left"
		while IFS= read -r j; do line "edit $j $h $t"; done <"$R/parts"
	done
}

# entries looks at what is noted about the op's path: ours is set if its part noted
# it, theirs if another part of ours did, asleft if nobody has changed it since: an
# empty file is one that we were kept from writing.
entries() {
	loadledger
	ours= theirs= asleft= lines=
	case $L in *" $path$nl"*) ;; *) return 0 ;; esac
	old=$IFS IFS=$nl
	set -f
	for line in $L; do
		concerns || continue
		if [ "${t%% *}" = "$part" ]; then ours=1; else theirs=1; fi
		lines=$lines$t$nl
	done
	set +f
	IFS=$old
	[ "$kind:$e:$foreign" = file:1: ] || return 0
	case $lines in *" $h:"*) asleft=1 ;; esac
	[ -s "$p" ] || asleft=1
	[ -z "$asleft" ] || return 0
	t=$($sum <"$p")
	case $lines in *":${t%% *} "*) asleft=1 ;; esac
}

# concerns tells whether line is about the op's thing; t is then the line from its part on.
concerns() {
	case $line in "$kind "*" $path") ;; *) return 1 ;; esac
	t=${line#* }
	j=${t#* }
	[ "${j#* }" = "$path" ]
}

# note has the ledger say that the op's part is about to make the thing.
note() {
	loadledger
	case $kind in
	file) noteline "$kind $part $want:$wantdata $path" ;;
	*) noteline "$kind $part $want $path" ;;
	esac
}

# due has it say which actions the op's change will call for, so that one that we did
# not live to see is done by the next who come. They have semicolons between.
due() {
	newdue=
	[ -n "$follows" ] || return 0
	loadledger
	rest=$follows\;
	while [ -n "$rest" ]; do
		t="action - - ${rest%%;*}"
		case $L in *"$nl$t$nl"*) ;; *) newdue=$newdue$t$nl ;; esac
		noteline "$t" || return 1
		rest=${rest#*;}
	done
}

# undue takes back what due has just noted: the op changed nothing.
undue() {
	while [ -n "$newdue" ]; do
		unnote "${newdue%%"$nl"*}"
		newdue=${newdue#*"$nl"}
	done
}

# notdue takes it back: the op's action is done, or nothing called for it.
notdue() {
	loadledger
	unnote "action - - $path"
}

noteline() {
	t=$1
	case $L in *"$nl$t$nl"*) return 0 ;; esac
	makeundo || return 1
	[ -z "$torn" ] || writeledger
	torn=1
	{ printf '%s\n' "$t" >>"$U/ledger"; } 2>/dev/null || err=$(printf '%s\n' "$t" | { cat >>"$U/ledger"; } 2>&1) || return 1
	L=$L$t$nl torn=
	later "$U/ledger"
	touched "$U/ledger"
}

# strike takes out the lines about the op's thing: those of its part, or with "all"
# those of any.
strike() {
	loadledger
	old=$IFS IFS=$nl rest=$nl
	set -f
	for line in $L; do
		if concerns && { [ "$1" = all ] || [ "${t%% *}" = "$part" ]; }; then struck=1; else rest=$rest$line$nl; fi
	done
	set +f
	IFS=$old L=$rest
}

# unnote takes a line out whose thing was not made.
unnote() {
	case $L in *"$nl$1$nl"*) ;; *) return 0 ;; esac
	L=${L%%"$nl$1$nl"*}$nl${L#*"$nl$1$nl"} struck=1
}

# saveledger writes the ledger after lines were taken out, or takes it away with
# the folder that it was in.
saveledger() {
	if [ -n "$struck" ]; then
		if [ "$L" = "$nl" ]; then
			clearundo ledger
		else
			writeledger
		fi
	fi
	L= struck=
}

writeledger() {
	{ printf %s "${L#"$nl"}" >"$U/.ledger" && mv -f "$U/.ledger" "$U/ledger"; } 2>/dev/null || return 0
	later "$U/ledger"
	touched "$U/ledger"
}

# makelink makes the op's symlink, or has one that is there lead elsewhere, in one go.
makelink() {
	t=$d
	if [ -z "$text" ]; then
		t=$(printf %s "$d" | $decode; echo x)
		t=${t%x}
	fi
	newtemp && runs ln -s "$t" "$temp" || return 1
	# Without -T a link to a directory would be moved into. Busybox does not take one
	# for a link even then.
	if [ -L "$p" ] && [ -d "$p" ]; then
		runs mv -T -f "$temp" "$p" || { runs rm -f "$p" && runs mv -f "$temp" "$p"; } || return 1
	else
		runs mv -f "$temp" "$p" || return 1
	fi
	temp= h=$want
	touched "$p"
}

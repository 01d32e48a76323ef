# bash completion of qemu-ga. What there is, the program itself is asked.

_qemu_ga() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words
	# bash splits --option=value into three words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	-m | --method)
		words='virtio-serial isa-serial unix-listen vsock-listen' ;;
	-a | -b | --allow-rpcs | --block-rpcs | --blacklist)
		words=$("$1" -b help 2>/dev/null)
		# Of a list, only the last name.
		if [[ $cur == *,* ]]; then
			mapfile -t COMPREPLY < <(compgen -P "${cur%,*}," -W "$words" -- "${cur##*,}")
			return
		fi ;;
	--profile)
		words='freeze-only info full' ;;
	--fsfreeze-presync | --fsfreeze-expedite | --fsfreeze-report-expiry | --network-physical-only)
		words='true false' ;;
	-c | -l | -f | -t | -F | -p | --config | --logfile | --pidfile | --statedir | --fsfreeze-hook | --path | --sysconfig)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	*)
		words=$("$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u)
		if ((COMP_CWORD == 1)); then
			words+=$'\ncheck\nthaw\npolicy'
		fi ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _qemu_ga qemu-ga

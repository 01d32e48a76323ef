# fish completion of qemu-ga. What there is, the program itself is asked.

function __qemu_ga_options
    # --word, --word=ARGUMENT or --word[=ARGUMENT], and what it does.
    qemu-ga --help 2>/dev/null | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z-]+)\[?(=?)[^ ]* +(.*)/\2\3\t\4/p'
end

function __qemu_ga_commands
    # Of a list, only the last name.
    set -l given (commandline -ct | string replace -r '^--?[a-z-]+=' '')
    set -l before (string match -r '.*,' -- $given)
    for name in (qemu-ga -b help 2>/dev/null)
        echo $before$name
    end
end

complete -c qemu-ga -f
complete -c qemu-ga -n __fish_is_first_arg -a 'check thaw policy'
complete -c qemu-ga -n 'string match -q -- "-*" (commandline -ct)' -a '(__qemu_ga_options)'
complete -c qemu-ga -s m -l method -xa 'virtio-serial isa-serial unix-listen vsock-listen'
complete -c qemu-ga -s a -l allow-rpcs -xa '(__qemu_ga_commands)'
complete -c qemu-ga -s b -l block-rpcs -xa '(__qemu_ga_commands)'
complete -c qemu-ga -l profile -xa 'freeze-only info full'
complete -c qemu-ga -s c -l config -r
complete -c qemu-ga -l sysconfig -r
complete -c qemu-ga -s l -l logfile -r
complete -c qemu-ga -s f -l pidfile -r
complete -c qemu-ga -s p -l path -r
complete -c qemu-ga -s t -l statedir -xa '(__fish_complete_directories)'

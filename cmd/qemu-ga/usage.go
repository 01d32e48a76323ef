package main

// usage is what --help prints.
const usage = `Usage: qemu-ga [OPTION]...
       qemu-ga check [--json] [OPTION]...
       qemu-ga thaw [--all] [OPTION]...
       qemu-ga policy [--install]

Serves the host of this virtual machine as its guest agent. With a word it
does something for the administrator of the guest instead:
  check   would a snapshot of this guest be consistent? Freezes nothing;
          exit status 0 if so, else 1
  thaw    thaws what an agent froze and left frozen; with --all, everything
  policy  prints the SELinux module that lets the agent freeze every
          filesystem; with --install, installs it by semodule

Channel
  -m, --method=METHOD       virtio-serial (default), isa-serial, unix-listen or
                            vsock-listen
  -p, --path=PATH           device, socket, or CID:PORT for vsock-listen
                            (default ` + defaultVirtio + `,
                            ` + defaultSerial + ` for isa-serial)
  -r, --retry-path          wait for a channel that is not there yet
      --cloud-init-wait=SECONDS    connect once cloud-init has finished, at the
                            latest after this time (0: do not wait)
      --vsock-allow-cids=N,...     vsock peers that are served (default 2, the host)
      --unix-allow-uids=N,...      users served on a unix socket (default root)

Files
  -c, --config=FILE         configuration file (default $QGA_CONF,
                            ` + defaultConfig + `)
      --sysconfig=FILE      options from a distribution's file of variables, such
                            as /etc/sysconfig/qemu-ga; may be missing
  -D, --dump-conf           print the configuration that results, and exit
  -l, --logfile=FILE        append the log to FILE (default standard error,
                            or the system's log for a daemon)
  -f, --pidfile=FILE        with -d (default ` + defaultPIDFile + `)
  -t, --statedir=DIR        where the state is kept (default ` + defaultStateDir + `)
  -v, --verbose             log everything, not only what went wrong
  -d, --daemonize           go to the background once the channel is open

Commands
      --profile=NAME,...    enable the commands of freeze-only (snapshots), info
                            (read only), or both; full (default) is all. What
                            root may do without them is given up
  -a, --allow-rpcs=NAME,... enable only these commands
  -b, --block-rpcs=NAME,... disable these commands; --blacklist is the same.
                            With "help" for NAME both print all names
      --exec-allow=FILE,...     the only programs guest-exec runs, or "none"
      --exec-output-limit=BYTES of a program's output that are kept (7340032)
      --file-read=FILE,...      the only files guest-file-open reads, or "none"
      --file-write=FILE,...     the only files guest-file-open writes, or "none".
                            In FILE * stands for text without /, and /** at the
                            end for all that lies below
      --file-read-limit=BYTES   that one guest-file-read returns (7340032)
      --network-order=ORDER     of interfaces: physical (first) or kernel
      --network-physical-only=BOOL  leave out bridges, tunnels and the like (false)
      --network-exclude=NAME,...    interfaces left out, such as veth*
      --network-max=NUMBER          how many interfaces are told (0: all)

Freezing
  -F, --fsfreeze-hook[=FILE]       run FILE before freezing and after thawing
                                   (default ` + defaultHook + `)
      --fsfreeze-timeout=SECONDS   thaw by itself after this time (300)
      --fsfreeze-window-timeout=SECONDS  from the first filesystem to the last (30)
      --fsfreeze-stall-timeout=SECONDS   a disk that writes nothing is hung (15)
      --fsfreeze-hook-timeout=SECONDS    for one run of the hook (60)
      --fsfreeze-presync=BOOL      write out before freezing (true)
      --fsfreeze-expedite=BOOL     shorten the kernel's waiting (true)
      --fsfreeze-exclude=DIR,...   mount points never to freeze
      --fsfreeze-report-expiry=BOOL  tell the host when the timeout struck (true)

  -h, --help                print this, and exit
  -V, --version             print the version, and exit

Options may be abbreviated. In the configuration file they are keys: qemu-ga's
in the group [general], --GROUP-KEY in [GROUP].
`

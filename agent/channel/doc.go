// Package channel carries bytes between the agent and its host over any of
// the transports qemu-ga knows: a virtio-serial port, a serial line, a unix
// socket, vsock, or a listening socket that systemd hands over. It knows
// nothing of the protocol that the bytes belong to.
//
// A [Listener] waits for hosts, a [Conn] is one host's stay. On a socket that
// is a connection; on a virtio-serial port, which the kernel keeps open
// whether a host is there or not, it is the time from the host's opening of
// its end to its closing. All waiting is done by the kernel: an agent whose
// host is away sleeps and has no timer running.
//
// To add a transport, write its open function and a Listener in a file of its
// own, and give it a name in [Open].
package channel

package main

import (
	"bufio"
	"time"

	"github.com/mdlayher/vsock"

	"qemu-ga/cmd/internal/vm/control"
)

// callVsock sends a line to a vsock port of this guest or its host.
func callVsock(args control.Vsock) (control.VsockReply, error) {
	conn, err := vsock.Dial(args.CID, args.Port, nil)
	if err != nil {
		return control.VsockReply{Error: err.Error()}, nil
	}
	defer func() { _ = conn.Close() }()
	limit := time.Duration(args.TimeoutMS) * time.Millisecond
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return control.VsockReply{}, err
	}
	if _, err := conn.Write([]byte(args.Send + "\n")); err != nil {
		return control.VsockReply{Error: err.Error()}, nil
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return control.VsockReply{Line: line, Error: err.Error()}, nil
	}
	return control.VsockReply{Line: line}, nil
}

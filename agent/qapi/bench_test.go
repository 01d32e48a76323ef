package qapi_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// endless repeats a request for ever.
type endless struct {
	request string
	at      int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		c := copy(b[n:], e.request[e.at:])
		n += c
		e.at = (e.at + c) % len(e.request)
	}
	return n, nil
}

// server serves one request after another.
func server(t testing.TB, request string) func() {
	d, e := qapi.NewDecoder(&endless{request: request}, qapi.Limits{}), qapi.NewEncoder(io.Discard)
	return func() {
		v, err := d.Next()
		require.NoError(t, err)
		req, err := qapi.ParseRequest(v)
		if err == nil {
			err = req.Decode(&struct{}{})
		}
		if err == nil {
			err = e.Return(req.ID, struct{}{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A ping costs its name and its share of the slabs.
func TestAllocs(t *testing.T) {
	require.LessOrEqual(t, testing.AllocsPerRun(1000, server(t, ping)), 2.0)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, server(t, echo(`"libvirt-1"`))), 2.0)
}

func BenchmarkPing(b *testing.B) {
	serve := server(b, ping)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

func BenchmarkFileWrite(b *testing.B) {
	const megabytes = 4
	request := `{"execute":"guest-file-write","arguments":{"handle":1000,"buf-b64":"` +
		strings.Repeat("QUFB", megabytes<<20/3) + `"}}`
	d := qapi.NewDecoder(&endless{request: request}, qapi.Limits{})
	b.SetBytes(megabytes << 20)
	b.ReportAllocs()
	for b.Loop() {
		v, err := d.Next()
		require.NoError(b, err)
		req, err := qapi.ParseRequest(v)
		require.NoError(b, err)
		var args struct {
			Handle int64       `json:"handle"`
			Data   qapi.Base64 `json:"buf-b64"`
		}
		require.NoError(b, req.Decode(&args))
		require.Len(b, args.Data, megabytes<<20/3*3)
	}
}

func BenchmarkFileRead(b *testing.B) {
	type read struct {
		Count int64       `json:"count"`
		Data  qapi.Base64 `json:"buf-b64"`
		EOF   bool        `json:"eof"`
	}
	data := make(qapi.Base64, 4<<20)
	e := qapi.NewEncoder(io.Discard)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, e.Return(qapi.Value{}, read{int64(len(data)), data, false}))
	}
}

package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

func TestSetUserPassword(t *testing.T) {
	t.Setenv("PATH", "/sbin")
	a, told := fakeSbin(t, `while read -r line; do printf ' <%s>' "$line" >> "$0.input"; done; cat "$0.input" >> "${0%/*}/../called"; rm "$0.input"`, "chpasswd")
	t.Setenv("PATH", "/sbin:/bin") // the script's own programs
	for _, c := range []struct {
		args setUserPasswordArgs
		want string
	}{
		{setUserPasswordArgs{"root", qapi.Base64("s3cret"), false}, "chpasswd <root:s3cret>"},
		{setUserPasswordArgs{"root", qapi.Base64("$y$j9T$x"), true}, "chpasswd [-e] <root:$y$j9T$x>"},
		{setUserPasswordArgs{"jo", qapi.Base64("a:b\x00c"), false}, "chpasswd <jo:a:b>"},
		{setUserPasswordArgs{"", qapi.Base64(""), false}, "chpasswd <:>"},
	} {
		_, err := a.setUserPassword(t.Context(), c.args)
		require.NoError(t, err)
		require.Equal(t, c.want, told())
	}
	for _, c := range []struct {
		args setUserPasswordArgs
		want string
	}{
		{setUserPasswordArgs{"a:b", qapi.Base64("x\ny"), false}, "forbidden characters in raw password"},
		{setUserPasswordArgs{"a:b", qapi.Base64("x"), false}, "forbidden characters in username"},
		{setUserPasswordArgs{"a\nb", qapi.Base64("x"), false}, "forbidden characters in username"},
	} {
		_, err := a.setUserPassword(t.Context(), c.args)
		require.EqualError(t, err, c.want)
	}
}

func TestSetUserPasswordErrors(t *testing.T) {
	t.Setenv("PATH", "/sbin:/bin")
	a, _ := fakeSbin(t, "cat >/dev/null; echo 'chpasswd: no such user' >&2; exit 1", "chpasswd")
	_, err := a.setUserPassword(t.Context(), setUserPasswordArgs{"jo", qapi.Base64("x"), false})
	require.EqualError(t, err, "child process has failed to set user password: chpasswd: no such user\n")
	a, _ = fakeSbin(t, "")
	_, err = a.setUserPassword(t.Context(), setUserPasswordArgs{"jo", qapi.Base64("x"), false})
	require.EqualError(t, err, "child process has failed to set user password: failed to exec 'chpasswd': No such file or directory\n")
}

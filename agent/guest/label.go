package guest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// selinuxDir is there if SELinux is on.
	selinuxDir = "/sys/fs/selinux"
	// labelAttr is the extended attribute that holds a file's SELinux label.
	labelAttr = "security.selinux"
	// sshType is what both Fedora's policy and the reference policy call the
	// type of ~/.ssh and all in it. The ssh server may read no other there.
	sshType = "ssh_home_t"
)

// labelForSSH gives a file that is open, or a directory, the type that the ssh
// server may read, where SELinux is on and its policy knows such a type. The
// kernel does so by itself under most policies, but not for what was made
// under another one, or moved there.
func (r Root) labelForSSH(fd int) error {
	if !r.exists(selinuxDir + "/enforce") {
		return nil
	}
	label, err := fileLabel(fd)
	if err != nil {
		return fmt.Errorf("cannot read its SELinux label: %s", Strerror(err))
	}
	wanted, ok := withType(label, sshType)
	if !ok || wanted == label || !r.validLabel(wanted) {
		return nil
	}
	if err := unix.Fsetxattr(fd, labelAttr, append([]byte(wanted), 0), 0); err != nil {
		return fmt.Errorf("cannot change its SELinux label to %s: %s", wanted, Strerror(err))
	}
	return nil
}

// fileLabel reads a file's label, without the 0 at its end.
func fileLabel(fd int) (string, error) {
	buf := make([]byte, 256)
	for {
		n, err := unix.Fgetxattr(fd, labelAttr, buf)
		switch {
		case err == unix.ERANGE && len(buf) < 64<<10:
			buf = make([]byte, 2*len(buf))
		case err != nil:
			return "", err
		default:
			return strings.TrimRight(string(buf[:n]), "\x00"), nil
		}
	}
}

// withType replaces the type in a label:
//
//	unconfined_u:object_r:user_home_t:s0
func withType(label, name string) (string, bool) {
	parts := strings.SplitN(label, ":", 4)
	if len(parts) < 3 {
		return "", false
	}
	parts[2] = name
	return strings.Join(parts, ":"), true
}

// validLabel asks the policy whether there can be such a label.
func (r Root) validLabel(label string) bool {
	f, err := os.OpenFile(r.Path(selinuxDir+"/context"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	_, err = f.Write(append([]byte(label), 0))
	return err == nil
}

package sshd

import (
	"context"
	"io"

	"rotunda/mmp/shell"
)

// SFTP serves one sftp channel until the client closes it or the context ends. It must close the channel's files
// itself and must not outlive the call.
type SFTP func(ctx context.Context, login *shell.Login, channel io.ReadWriteCloser) error

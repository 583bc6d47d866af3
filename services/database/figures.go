package database

import (
	"context"

	"rotunda/init/metrics"
)

// figures say how the database is (metrics.Table).
func (n *Node) figures(_ context.Context, p *metrics.Page) {
	s := n.etcd.Server
	be := s.Backend()
	p.Set("rotunda_database_size_bytes", float64(be.Size()))
	p.Set("rotunda_database_used_bytes", float64(be.SizeInUse()))
	p.Truth("rotunda_database_leader", s.Leader() == s.MemberID())
	p.Truth("rotunda_database_has_leader", s.Leader() != 0)
	p.Set("rotunda_database_changes_total", float64(s.AppliedIndex()))
}

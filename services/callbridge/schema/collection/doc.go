// Package collection makes the API's tables into a collection of requests, in the format that Postman 2.1 and many other clients read, and
// can send one as such a client does.
//
// The collection begins with a first meeting, whose requests work one after the other as they are; then every type follows with every
// request that it takes and every parameter, each with its help. Optional ones are there and switched off. An ID that a request makes
// is kept in the variable that later requests name: {{coSpaceId}}.
package collection

//go:generate go test -count=1 -run CollectionIsWhat -update .

-- /etc/npf/filter.lua: called by the procedure in /etc/npf.conf.
--
-- hdr: the packet's headers (layers 3 and 4); pld: what follows them.
-- Return false to block the packet; anything true, or nothing, leaves it to the rule.

local vulnerable = {
  ['OpenSSH_6.4'] = true,
}

function filter(hdr, pld)
  local seg = pld:segment(0, 255)
  if not seg then return true end -- nothing follows the headers

  -- SSH-protoversion-softwareversion SP comments CR LF (RFC 4253, section 4.2)
  local software = tostring(seg):match('SSH%-[^-%G]+%-([^-%G]+)')
  return not vulnerable[software]
end

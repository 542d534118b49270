"""Canonical sites, recovered from structure alone: no adapters, no architectures.

`stream` follows the residual stream from add to add, `branches` looks into what each add joins,
`recover` puts the field's words on what they find.
"""

from graftwork.passes.sites.recover import FindSites as FindSites

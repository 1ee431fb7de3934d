# A burst in plain HCL: what the Burst construct would write. `spillway lab` gives it two sites on this machine.

terraform {
  required_version = ">= 1.8"
  required_providers {
    spillway = {
      source = "spillway/spillway"
    }
  }
}

variable "shop" {
  description = "What is desired. The hook changes nothing but this."
  type = object({
    burst         = bool
    cloud_members = number
    weights       = map(number)
    image_digest  = string
    reason        = string
  })
  default = {
    burst         = false
    cloud_members = 1
    weights       = { onprem = 100 }
    image_digest  = null
    reason        = "quiet"
  }
}

variable "lab" {
  description = "What `spillway lab` wrote of its two sites. Elsewhere, write the same by hand. Tokens stay in files or in the environment."
  type        = string
  default     = ".spillway/lab.json"
}

locals {
  lab = try(jsondecode(file(var.lab)), {
    sites = {
      onprem = { endpoint = "http://127.0.0.1:7501", address = "127.0.1.1" }
      cloud  = { endpoint = "http://127.0.0.1:7502", address = "127.0.2.1" }
    }
    image = { path = "images/shop.tar" }
    port  = 8080
  })
}

provider "spillway" {
  sites = {
    for name, site in local.lab.sites : name => { endpoint = site.endpoint, token_file = try(site.tokenFile, null) }
  }
}

# Home: always there.

resource "spillway_image_replica" "home" {
  site   = "onprem"
  source = local.lab.image.path
}

resource "spillway_pool" "home" {
  site         = "onprem"
  name         = "shop"
  image_digest = spillway_image_replica.home.digest
  members      = 2
  session_idle = "5s"

  listen = {
    address = local.lab.sites.onprem.address
    port    = local.lab.port
  }
}

# The cloud, while it is wanted. `create_before_destroy` is what makes the way home safe: without it Terraform would close the gate
# before it changes the record.

resource "spillway_image_replica" "cloud" {
  count  = var.shop.burst ? 1 : 0
  site   = "cloud"
  source = local.lab.image.path

  lifecycle {
    create_before_destroy = true
  }
}

resource "spillway_pool" "cloud" {
  count        = var.shop.burst ? 1 : 0
  site         = "cloud"
  name         = "shop"
  image_digest = coalesce(var.shop.image_digest, spillway_image_replica.cloud[0].digest)
  members      = var.shop.cloud_members
  session_idle = "5s"

  listen = {
    address = local.lab.sites.cloud.address
    port    = local.lab.port
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "spillway_gate" "cloud" {
  count        = var.shop.burst ? 1 : 0
  pool         = spillway_pool.cloud[0].id
  record_ttl   = 5
  quiet_period = "3s"

  lifecycle {
    create_before_destroy = true
  }
}

# The name that users ask for. A site without a share is left out.

locals {
  home  = { site = "onprem", pool = spillway_pool.home.id, gate = null }
  cloud = { site = "cloud", pool = one(spillway_pool.cloud[*].id), gate = one(spillway_gate.cloud[*].id) }
}

resource "spillway_global_record" "shop" {
  name        = "shop.example.test"
  name_server = "onprem"
  ttl         = 5

  answers = [
    for there in [local.home, local.cloud] : {
      site    = there.site
      address = local.lab.sites[there.site].address
      weight  = var.shop.weights[there.site]
      pool    = there.pool
      gate    = there.gate
    } if contains(keys(var.shop.weights), there.site)
  ]
}

output "decision" {
  description = "Why it is as it is."
  value       = { burst = var.shop.burst, weights = var.shop.weights, reason = var.shop.reason }
}

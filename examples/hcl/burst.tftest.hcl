# `terraform test`: goes out, comes home, and destroys what it made. Needs two sites (`spillway lab`).

run "quiet" {
  assert {
    condition     = length(spillway_global_record.shop.answers) == 1 && spillway_global_record.shop.answers[0].site == "onprem"
    error_message = "All users are at home."
  }
}

run "burst" {
  variables {
    shop = {
      burst         = true
      cloud_members = 1
      weights       = { onprem = 67, cloud = 33 }
      image_digest  = null
      reason        = "a test"
    }
  }

  assert {
    condition     = spillway_gate.cloud[0].site == "cloud" && length(spillway_global_record.shop.answers) == 2
    error_message = "The cloud was admitted, and answers."
  }

  assert {
    condition     = var.shop.weights == provider::spillway::split({ onprem = 2, cloud = 1 }, {}, {})
    error_message = "Twice the capacity is twice the share."
  }
}

run "home_again" {
  assert {
    condition     = length(spillway_pool.cloud) == 0 && spillway_global_record.shop.answers[0].weight == 100
    error_message = "Nothing is left in the cloud."
  }
}

# What the constructs make of a burst, written by hand: what the real provider does with it does not depend on who wrote it.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {}

variable "ground" {
  type = object({ vpcId = string, subnetIds = list(string), zoneId = string, zoneName = string })
}

variable "shop" {
  type = object({ burst = bool, cloud_members = number, weights = map(number) })
}

variable "snapshot_id" {
  type = string
}

locals {
  burst = var.shop.burst ? 1 : 0
}

resource "aws_ami" "image" {
  count               = local.burst
  name                = "shop"
  architecture        = "x86_64"
  virtualization_type = "hvm"
  root_device_name    = "/dev/xvda"
  ena_support         = true
  ebs_block_device {
    device_name = "/dev/xvda"
    snapshot_id = var.snapshot_id
  }
}

resource "aws_security_group" "balancer" {
  name   = "shop-balancer"
  vpc_id = var.ground.vpcId
}

resource "aws_security_group" "members" {
  name   = "shop-members"
  vpc_id = var.ground.vpcId
}

resource "aws_vpc_security_group_ingress_rule" "members" {
  security_group_id            = aws_security_group.members.id
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_iam_role" "members" {
  name = "shop-members"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_instance_profile" "members" {
  name = "shop-members"
  role = aws_iam_role.members.name
}

resource "aws_launch_template" "members" {
  name                   = "shop"
  image_id               = one(aws_ami.image[*].id)
  vpc_security_group_ids = [aws_security_group.members.id]
  iam_instance_profile {
    arn = aws_iam_instance_profile.members.arn
  }
  metadata_options {
    http_tokens = "required"
  }
}

resource "aws_lb_target_group" "members" {
  name                 = "shop"
  port                 = 8080
  protocol             = "HTTP"
  vpc_id               = var.ground.vpcId
  deregistration_delay = 30
}

resource "aws_lb" "shop" {
  count           = local.burst
  name            = "shop"
  security_groups = [aws_security_group.balancer.id]
  subnets         = var.ground.subnetIds
}

resource "aws_lb_listener" "shop" {
  count             = local.burst
  load_balancer_arn = aws_lb.shop[0].arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.members.arn
  }
}

resource "aws_autoscaling_group" "members" {
  count                     = local.burst
  name                      = "shop"
  min_size                  = 0
  max_size                  = 10
  desired_capacity          = var.shop.cloud_members
  wait_for_elb_capacity     = var.shop.cloud_members
  vpc_zone_identifier       = var.ground.subnetIds
  target_group_arns         = [aws_lb_target_group.members.arn]
  health_check_type         = "ELB"
  wait_for_capacity_timeout = "5m"
  mixed_instances_policy {
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.members.id
        version            = aws_launch_template.members.latest_version
      }
      override {
        instance_type = "m5.large"
      }
      override {
        instance_type = "m6i.large"
      }
    }
  }
  depends_on = [aws_lb_listener.shop]
}

resource "aws_route53_health_check" "home" {
  ip_address        = "192.0.2.10"
  port              = 80
  type              = "HTTP"
  resource_path     = "/"
  request_interval  = 30
  failure_threshold = 3
}

resource "aws_route53_record" "home" {
  zone_id         = var.ground.zoneId
  name            = "shop.${var.ground.zoneName}"
  type            = "A"
  ttl             = 30
  records         = ["192.0.2.10"]
  set_identifier  = "home"
  health_check_id = aws_route53_health_check.home.id
  weighted_routing_policy {
    weight = var.shop.weights["home"]
  }
}

resource "aws_route53_record" "cloud" {
  count          = contains(keys(var.shop.weights), "cloud") ? local.burst : 0
  zone_id        = var.ground.zoneId
  name           = "shop.${var.ground.zoneName}"
  type           = "A"
  set_identifier = "cloud"
  alias {
    name                   = aws_lb.shop[0].dns_name
    zone_id                = aws_lb.shop[0].zone_id
    evaluate_target_health = true
  }
  weighted_routing_policy {
    weight = var.shop.weights["cloud"]
  }
  depends_on = [aws_autoscaling_group.members]
}
